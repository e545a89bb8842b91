"""How near the first reconciliation comes to a truth that is known: `python -m bench.accuracy_first --world standard`.

Belongs here: the planted world through contract and reconciliation in memory, and its comparison with the truth
tables. Does not belong here: any verdict; figures with their command stand in docs/methodology.md, and the tests hold
the bars. Nothing here reads real declarations.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from orchestration import reconcile
from orchestration.comtrade.contract import ContractTables, apply_contract, year_completeness
from orchestration.comtrade.contract.schema import LANDED
from orchestration.pipeline.reconciliation import month_before
from orchestration.reconcile.quantities import VALUE
from orchestration.reconcile.schema import DECLARATIONS
from orchestration.reference import Reference, load_reference
from orchestration.sample import REFERENCE_FRAMES, WorldConfig, iter_deliveries, world_truth

SEEDS_DIR = Path(__file__).resolve().parents[1] / "dbt_project" / "seeds"
SMALLEST_TRUE_USD = 5_000.0
_FLOW_KEY = ["frequency", "period", "exporter_code", "importer_code", "product_code"]
_CELL_KEY = ["exporter_code", "importer_code", "product_code"]


@dataclass(frozen=True)
class Judged:
    """Everything a world's reconciliation made, beside the truth it was made from."""

    flows: pl.DataFrame
    true_flows: pl.DataFrame
    reliability: pl.DataFrame
    reporter_error: pl.DataFrame
    cif_margin: pl.DataFrame
    other_methods: pl.DataFrame = field(default_factory=pl.DataFrame)


COMPARED_COLUMNS = (
    *("frequency", "period", "exporter_code", "importer_code", "product_code", "status", "is_confidential"),
    *("reconciled_fob_usd", "reconciled_mean_fob_usd", "reconciled_fob_usd_p05", "reconciled_fob_usd_p25"),
    *("reconciled_fob_usd_p75", "reconciled_fob_usd_p95", "method_name"),
)


def tables_of(reference: Reference) -> tuple[ContractTables, reconcile.ReconcileTables]:
    """The reference tables of contract and reconciliation."""
    made = []
    for kind in (ContractTables, reconcile.ReconcileTables):
        made.append(kind(**{name: getattr(reference, name) for name in kind.__dataclass_fields__}))
    return made[0], made[1]


def judge_world(config: WorldConfig, other_methods: Sequence[str] = ()) -> Judged:
    """Make a planted world, apply the contract, reconcile it, and keep its truth. Pure but for reading the seeds.

    `other_methods` are estimators to run beside the default; of them COMPARED_COLUMNS are kept.
    """
    reference = load_reference(SEEDS_DIR)
    contract, tables = tables_of(reference)
    frames = {name: getattr(reference, name) for name in REFERENCE_FRAMES}
    declarations: dict[str, pl.DataFrame] = {}
    truths, presence = [], []
    for delivery in iter_deliveries(config, frames):
        order = pl.DataFrame({"delivery_id": [delivery.name], "precedence": [1]})
        result = apply_contract(_landed(delivery.declared, delivery.name), contract, order)
        declarations[delivery.name] = result.declarations.select(list(DECLARATIONS))
        presence.append(result.coverage.select("frequency", "period", "reporter_code"))
        truths.append(delivery.truth["true_flow"])
    years = year_completeness(pl.concat(presence).unique())
    flows, reliability, others = _reconciled(declarations, years, tables, other_methods)
    lasting = world_truth(config, frames)
    return Judged(flows, pl.concat(truths), reliability, lasting["reporter_error"], lasting["cif_margin"], others)


def _landed(declared: pl.DataFrame, name: str) -> pl.DataFrame:
    absent = [pl.lit(None, dtype=LANDED[column]).alias(column) for column in LANDED if column not in declared.columns]
    return declared.with_columns(absent).with_columns(
        source_file=pl.lit(name),
        source_format=pl.lit("planted"),
        delivery_id=pl.lit(name),
        source_line=pl.int_range(1, pl.len() + 1, dtype=pl.Int64),
    )


def _reconciled(
    declarations: dict[str, pl.DataFrame],
    years: pl.DataFrame,
    tables: reconcile.ReconcileTables,
    other_methods: Sequence[str],
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """All flows, the reliability table of both frequencies, and the flows by other methods."""
    flows, reliability, others = [], [], []
    fitted: dict[str, dict[str, reconcile.ReliabilityModel]] = {}
    # Months before years, whose variances lean on them.
    for frequency in sorted({key[0] for key in declarations}, key=reconcile.LEANS_ON.__contains__):
        paired = {k: _paired(declarations, k, years, tables) for k in declarations if k.startswith(frequency)}
        sources = [reconcile.cif_sources(pairs, tables) for pairs in paired.values()]
        shares = pl.concat(sources).group_by("cif_source").agg(value_usd=pl.col("importer_value_usd").sum())
        taught = [reconcile.thin_valuation_training(reconcile.valuation_training(source)) for source in sources]
        training = pl.concat(taught)
        valuation = reconcile.fit_valuation(training, shares.sort("cif_source"), frequency, tables)
        valued = [
            reconcile.with_previous_month(
                reconcile.apply_valuation(pairs, valuation, tables), paired.get(str(month_before(key)))
            )
            for key, pairs in paired.items()
        ]
        trained = [{VALUE: reconcile.reliability_training(f), **reconcile.quantity_training(f)} for f in valued]
        months = fitted.get(reconcile.LEANS_ON.get(frequency, ""), {})
        models = {
            m: reconcile.fit_reliability(pl.concat([rows[m] for rows in trained]), months.get(m))
            for m in reconcile.MEASURES
        }
        fitted[frequency] = models
        flows += [reconcile.reconcile_quantities(reconcile.estimate(f, models[VALUE]), models) for f in valued]
        for name in other_methods:
            method = reconcile.ESTIMATORS[name]()
            others += [reconcile.estimate(f, models[VALUE], method).select(COMPARED_COLUMNS) for f in valued]
        reliability.append(reconcile.stack_models(models)["reliability"])
    return pl.concat(flows), pl.concat(reliability), pl.concat(others) if others else pl.DataFrame()


def _paired(
    declarations: dict[str, pl.DataFrame], key: str, years: pl.DataFrame, tables: reconcile.ReconcileTables
) -> pl.DataFrame:
    frequency, period = key.split("-", 1)
    own = declarations[key]
    if frequency == "M":
        known = own.filter(pl.col("reporter_iso3").is_not_null()).select("reporter_code").unique()
        return reconcile.pair(own, known.with_columns(is_complete=pl.lit(True)), tables).pairs
    months = [frame for name, frame in declarations.items() if name.startswith(f"M-{period}")]
    year = reconcile.roll_up_year(own, pl.concat(months) if months else own.clear(), int(period))
    return reconcile.pair(year, years.filter(pl.col("year") == int(period)), tables).pairs


def accuracy_of_flows(judged: Judged) -> pl.DataFrame:
    """Per frequency and status, of true flows over 5,000 USD: errors in logarithms, bias of the total, coverage.

    geometric_error_log is the median error of the geometric mean of both sides with the true margin taken off.
    """
    truth = judged.true_flows.filter(pl.col("true_fob_usd") > SMALLEST_TRUE_USD)
    both = judged.flows.join(truth, on=_FLOW_KEY).filter(~pl.col("is_confidential"))
    both = both.join(judged.cif_margin, on=_CELL_KEY, how="left")
    true, error = pl.col("true_fob_usd"), pl.col("reconciled_fob_usd").log() - pl.col("true_fob_usd").log()
    margin = pl.when(pl.col("cif_source") == "reported").then(0.0).otherwise(pl.col("cif_margin_log"))
    oracle = (pl.col("exporter_fob_usd").log() + pl.col("importer_value_usd").log() - margin) / 2 - true.log()
    covered = {
        "coverage_90_ratio": true.is_between("reconciled_fob_usd_p05", "reconciled_fob_usd_p95"),
        "coverage_50_ratio": true.is_between("reconciled_fob_usd_p25", "reconciled_fob_usd_p75"),
    }
    return (
        both.group_by("frequency", "status")
        .agg(
            pl.len().alias("flow_count"),
            error.abs().median().alias("median_error_log"),
            oracle.filter(oracle.is_finite()).abs().median().alias("geometric_error_log"),
            error.median().alias("median_bias_log"),
            (pl.col("reconciled_fob_usd").sum() / true.sum() - 1.0).alias("total_bias_ratio"),
            *(inside.mean().alias(name) for name, inside in covered.items()),
        )
        .sort("frequency", "status")
    )


def accuracy_of_weights(judged: Judged) -> pl.DataFrame:
    """Per frequency and side whose weight is reported (both, exporter, importer), of true flows over 5,000 USD: errors
    of kilograms in logarithms, those of the geometric mean of two weights, bias of the total, coverage.
    """
    truth = judged.true_flows.filter(pl.col("true_fob_usd") > SMALLEST_TRUE_USD)
    both = judged.flows.join(truth, on=_FLOW_KEY).filter(~pl.col("is_confidential"))
    kg = {
        side: pl.when(~pl.col(f"{side}_is_weight_estimated")).then(pl.col(f"{side}_net_weight_kg"))
        for side in ("exporter", "importer")
    }
    reported = (
        pl.when(kg["exporter"] * kg["importer"] > 0)
        .then(pl.lit("both"))
        .when(kg["exporter"] > 0)
        .then(pl.lit("exporter"))
        .otherwise(pl.lit("importer"))
    )
    true, found = pl.col("true_kg"), pl.col("reconciled_net_weight_kg")
    mean = (kg["exporter"].log() + kg["importer"].log()) / 2 - true.log()
    return (
        both.filter(found.is_not_null() & (true > 0))
        .group_by("frequency", reported.alias("weights"))
        .agg(
            pl.len().alias("flow_count"),
            (found.log() - true.log()).abs().median().alias("median_error_log"),
            mean.filter(mean.is_finite()).abs().median().alias("geometric_error_log"),
            (found.sum() / true.sum() - 1.0).alias("total_bias_ratio"),
            true.is_between("reconciled_net_weight_kg_p05", "reconciled_net_weight_kg_p95").mean().alias("coverage_90"),
            true.is_between("reconciled_net_weight_kg_p25", "reconciled_net_weight_kg_p75").mean().alias("coverage_50"),
        )
        .sort("frequency", "weights")
    )


def accuracy_of_reliability(judged: Judged) -> pl.DataFrame:
    """Per frequency and role, mean over windows: rank correlation of sigmas, correlation of biases, their coverage."""
    own = judged.reliability.filter(pl.col("measure") == VALUE)
    both = own.join(judged.reporter_error, on=["reporter_code", "role"], suffix="_true")
    bias = pl.col("bias_log") - pl.col("bias_log_true")
    off = {"sigma": pl.col("sigma_log") - pl.col("sigma_log_true"), "bias": bias - bias.median()}
    covered = [(off[n].abs() < 1.645 * pl.col(f"{n}_se_log")).mean().alias(f"{n}_coverage_90_ratio") for n in off]
    windows = both.group_by("frequency", "role", "window_end_year").agg(
        pl.corr("sigma_log", "sigma_log_true", method="spearman").alias("sigma_rank_correlation"),
        pl.corr("bias_log", "bias_log_true").alias("bias_correlation"),
        *covered,
    )
    return windows.group_by("frequency", "role").agg(pl.exclude("window_end_year").mean()).sort("frequency", "role")


def accuracy_of_margins(judged: Judged) -> pl.DataFrame:
    """Per frequency and source of the margin: mean of used and true margin in logarithms, median difference."""
    both = judged.flows.join(judged.cif_margin, on=_CELL_KEY)
    both = both.filter(pl.col("cif_source").is_in(["observed", "modelled"]))
    used, true = pl.col("cif_rate_ratio").log1p(), pl.col("cif_margin_log")
    measures = {"used_log": used.mean(), "true_log": true.mean(), "off_log": (used - true).abs().median()}
    return both.group_by("frequency", "cif_source").agg(**measures).sort("frequency", "cif_source")


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge one world and print the four tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", default="standard", choices=["tiny", "light", "standard", "hard", "without_evasion"])
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--annual-only", action="store_true", help="leave the months out")
    options = parser.parse_args(arguments)
    config = getattr(WorldConfig, options.world)(seed=options.seed)
    if options.annual_only:
        config = replace(config, frequencies=("A",))
    judged = judge_world(config)
    with pl.Config(tbl_cols=-1, tbl_rows=-1, tbl_width_chars=200, float_precision=4, tbl_hide_dataframe_shape=True):
        measures = (accuracy_of_flows, accuracy_of_weights, accuracy_of_reliability, accuracy_of_margins)
        for table in (measure(judged) for measure in measures):
            sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main()
