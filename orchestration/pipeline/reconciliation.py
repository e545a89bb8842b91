"""From contracted declarations to reconciled flows: pairs per period, parameters across periods, flows per period.

Belongs here: which frames meet in which call, what is skipped because it is unchanged. Does not belong here: any
formula (`orchestration.reconcile`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from orchestration import reconcile
from orchestration.comtrade.contract import reported_presence
from orchestration.pipeline.declarations import PeriodSummary
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.storage import Stamps, combine, each_period, remove_other_files, sha256_of_file, write_frame
from orchestration.reconcile import schema
from orchestration.reconcile.cif_model import PUBLISHED_MODEL
from orchestration.reference import Reference
from orchestration.sums import exact_sum

DEFAULT_METHOD = reconcile.VarianceComponents.name
PAIR_TABLES = ("pairs", "sources", "nes_declared")
FLOW_TABLES = ("mirror_flows", "mirror_totals", "nes_reallocations")
# The pairs stand on disk already: of the valued ones only what is new.
VALUED_BESIDE_PAIRS = [*schema.PAIR_KEY, *(name for name in schema.VALUED if name not in schema.PAIRS)]
PARAMETER_TABLES = (*reconcile.MODEL_TABLES, "cif_model")


def reconcile_tables(reference: Reference) -> reconcile.ReconcileTables:
    """The reference tables that the reconciliation needs."""
    return reconcile.ReconcileTables(
        places=reference.places,
        place_borders=reference.place_borders,
        place_roles=reference.place_roles,
        valuation_by_reporter_year=reference.valuation_by_reporter_year,
        product_families=reference.product_families,
        controls=reference.controls,
        corridors_left_out=reference.corridors_left_out,
        published_cif_models=reference.published_cif_models,
        distances=reference.distances,
        hs_correlations=reference.hs_correlations,
    )


def pair_periods(
    paths: DataPaths, period_keys: Sequence[str], all_period_keys: Sequence[str], reference: Reference, code: str
) -> list[PeriodSummary]:
    """Pair both declarations of every flow, period by period; a year also takes months that make a whole year."""
    tables = reconcile_tables(reference)
    stamps = Stamps(paths.reconciled / "_stamps" / "pairs")
    for table in (*PAIR_TABLES, "valuation_training", "valued", *FLOW_TABLES):
        remove_other_files(paths.reconciled / table, set(all_period_keys))
    return each_period(lambda key: _pair_period(paths, key, all_period_keys, tables, stamps, code), period_keys)


def months_of(year_key: str, period_keys: Sequence[str]) -> list[str]:
    """The monthly period keys of an annual one that the run holds; none for a month."""
    frequency, period = year_key.split("-", 1)
    return [k for k in sorted(period_keys) if frequency == "A" and k.startswith(f"M-{period}")]


def month_before(period_key: str) -> str | None:
    """Key of the month before a monthly period key; None for a year."""
    frequency, period = period_key.split("-", 1)
    if frequency != "M":
        return None
    year, month = int(period[:4]), int(period[4:])
    return f"M-{year - 1}12" if month == 1 else f"M-{year}{month - 1:02d}"


def _exports_of(paths: DataPaths, key: str | None, period_keys: Sequence[str]) -> pl.DataFrame | None:
    """What exporters declared in a period that the run holds, else None."""
    if key not in period_keys:
        return None
    columns = [*schema.PAIR_KEY, "exporter_value_usd"]
    return pl.read_parquet(paths.table("reconciled", "pairs", str(key)), columns=columns)


def completeness_of(paths: DataPaths, key: str) -> pl.DataFrame:
    """Which reporters are complete in a period: (reporter_code, is_complete).

    A month's data set that is there is complete; a year needs an annual set or all twelve months.
    """
    frequency, period = key.split("-", 1)
    if frequency == "A":
        years = pl.read_parquet(paths.contracted / "completeness.parquet")
        return years.filter(pl.col("year") == int(period)).select("reporter_code", "is_complete")
    filed = pl.read_parquet(paths.table("contracted", "coverage_filed", key))
    return reported_presence(filed).select("reporter_code", is_complete=pl.lit(True))


def _pair_period(
    paths: DataPaths,
    key: str,
    all_keys: Sequence[str],
    tables: reconcile.ReconcileTables,
    stamps: Stamps,
    code: str,
) -> PeriodSummary:
    outputs = {name: paths.table("reconciled", name, key) for name in (*PAIR_TABLES, "valuation_training")}
    months = months_of(key, all_keys)
    inputs = [paths.table("contracted", "declarations", k) for k in (key, *months)]
    completeness = completeness_of(paths, key)
    complete = ",".join(completeness.filter(pl.col("is_complete"))["reporter_code"].to_list())
    fingerprint = combine(*(sha256_of_file(path) for path in inputs), complete, code)
    current = stamps.is_current(key, fingerprint, outputs.values())
    if not current:
        declarations = _declarations(inputs, key)
        paired = reconcile.pair(declarations, completeness, tables)
        training = reconcile.valuation_training(reconcile.cif_sources(paired.pairs, tables))
        made = {
            "pairs": paired.pairs,
            "sources": paired.sources,
            "nes_declared": reconcile.nes_declared(declarations, tables),
            "valuation_training": training,
        }
        for name, frame in made.items():
            write_frame(outputs[name], frame)
        stamps.write(key, fingerprint)
    counted = pl.scan_parquet(outputs["pairs"]).select(
        pl.len(), exact_sum("exporter_value_usd") + exact_sum("importer_value_usd")
    )
    rows, value = counted.collect().row(0)
    return PeriodSummary(key, int(rows), float(value or 0.0), current)


def _declarations(inputs: Sequence[Path], key: str) -> pl.DataFrame:
    columns = list(schema.DECLARATIONS)
    own = pl.read_parquet(inputs[0], columns=columns)
    frequency, period = key.split("-", 1)
    if frequency == "M":
        return own
    if not inputs[1:]:
        return reconcile.roll_up_year(own, own.clear(), int(period))
    # Of the months only what can stand in a year: the rest would be read for nothing.
    wanted = reconcile.can_roll_up(own) & pl.col("account").is_in(["pair", "total", "special"])
    months = [pl.scan_parquet(path).filter(wanted).select(columns).collect() for path in inputs[1:]]
    filed = [reconcile.months_filed(pl.scan_parquet(path)).collect() for path in inputs[1:]]
    return reconcile.roll_up_year(own, pl.concat(months), int(period), pl.concat(filed))


def fit_parameters(paths: DataPaths, period_keys: Sequence[str], reference: Reference, code: str) -> dict[str, int]:
    """Fit the margin model and the reliability of every measure over all periods; write valued pairs and parameters.

    Returns rows per parameter table.
    """
    tables = reconcile_tables(reference)
    folder = paths.reconciled / "parameters"
    outputs = {name: folder / f"{name}.parquet" for name in PARAMETER_TABLES}
    valued = {key: paths.table("reconciled", "valued", key) for key in period_keys}
    stamps = Stamps(paths.reconciled / "_stamps")
    fingerprint = combine(*(f"{k}:{sha256_of_file(paths.table('reconciled', 'pairs', k))}" for k in period_keys), code)
    if not stamps.is_current("parameters", fingerprint, [*outputs.values(), *valued.values()]):
        models = _fit_valuation(paths, period_keys, tables)

        def value(key: str) -> dict[str, pl.DataFrame]:
            pairs = pl.read_parquet(paths.table("reconciled", "pairs", key))
            frame = reconcile.apply_valuation(pairs, models[key[0]], tables)
            frame = reconcile.with_previous_month(frame, _exports_of(paths, month_before(key), period_keys))
            write_frame(valued[key], frame.select(VALUED_BESIDE_PAIRS))
            return {reconcile.VALUE: reconcile.reliability_training(frame), **reconcile.quantity_training(frame)}

        trained = each_period(value, period_keys)

        def fit(measure: str) -> reconcile.ReliabilityModel:
            return reconcile.fit_reliability(pl.concat(rows[measure] for rows in trained))

        fitted = dict(zip(reconcile.MEASURES, each_period(fit, reconcile.MEASURES), strict=True))
        for name, table in reconcile.stack_models(fitted).items():
            write_frame(outputs[name], table)
        write_frame(outputs["cif_model"], pl.concat([models[f].card for f in sorted(models)]))
        stamps.write("parameters", fingerprint)
    return {name: pl.scan_parquet(path).select(pl.len()).collect().item() for name, path in outputs.items()}


def _fit_valuation(
    paths: DataPaths, period_keys: Sequence[str], tables: reconcile.ReconcileTables
) -> dict[str, reconcile.ValuationModel]:
    models: dict[str, reconcile.ValuationModel] = {}
    for frequency in sorted({key[0] for key in period_keys}):
        keys = [key for key in period_keys if key.startswith(frequency)]
        training = pl.concat(pl.read_parquet(paths.table("reconciled", "valuation_training", k)) for k in keys)
        shares = [
            reconcile.cif_sources(pl.read_parquet(paths.table("reconciled", "pairs", key)), tables)
            .group_by("cif_source")
            .agg(value_usd=exact_sum("importer_value_usd"))
            for key in keys
        ]
        by_source = pl.concat(shares).group_by("cif_source").agg(exact_sum("value_usd")).sort("cif_source")
        models[frequency] = reconcile.fit_valuation(training, by_source, frequency, tables)
    return models


def reconcile_periods(
    paths: DataPaths, period_keys: Sequence[str], reference: Reference, code: str, method: str = DEFAULT_METHOD
) -> list[PeriodSummary]:
    """Reconciled flows, mirrored control totals and areas nes, period by period; `method` is one of ESTIMATORS."""
    folder = paths.reconciled / "parameters"
    tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in reconcile.MODEL_TABLES}
    models = {measure: reconcile.model_of(tables, measure) for measure in reconcile.MEASURES}
    stamps = Stamps(paths.reconciled / "_stamps" / "flows")
    fitted = combine(*(sha256_of_file(folder / f"{name}.parquet") for name in PARAMETER_TABLES), code, method)
    estimator = reconcile.ESTIMATORS[method]()
    return each_period(
        lambda key: _reconcile_period(paths, key, models, estimator, reference, stamps, fitted), period_keys
    )


def _reconcile_period(
    paths: DataPaths,
    key: str,
    models: Mapping[str, reconcile.ReliabilityModel],
    estimator: reconcile.Estimator,
    reference: Reference,
    stamps: Stamps,
    fitted: str,
) -> PeriodSummary:
    inputs = {name: paths.table("reconciled", name, key) for name in ("valued", "pairs", "nes_declared")}
    inputs["control_totals"] = paths.table("contracted", "control_totals", key)
    outputs = {name: paths.table("reconciled", name, key) for name in FLOW_TABLES}
    fingerprint = combine(*(sha256_of_file(path) for path in inputs.values()), fitted)
    current = stamps.is_current(key, fingerprint, outputs.values())
    if not current:
        read = {name: pl.read_parquet(path) for name, path in inputs.items()}
        made = _flow_tables(read, completeness_of(paths, key), models, estimator, reference)
        for name, path in outputs.items():
            write_frame(path, made[name])
        stamps.write(key, fingerprint)
    counted = pl.scan_parquet(outputs["mirror_flows"]).select(pl.len(), exact_sum("reconciled_fob_usd")).collect()
    rows, value = counted.row(0)
    return PeriodSummary(key, int(rows), float(value or 0.0), current)


def _flow_tables(
    read: Mapping[str, pl.DataFrame],
    completeness: pl.DataFrame,
    models: Mapping[str, reconcile.ReliabilityModel],
    estimator: reconcile.Estimator,
    reference: Reference,
) -> dict[str, pl.DataFrame]:
    """The three tables of one period that the flows are told in (FLOW_TABLES)."""
    valued = _valued(read["pairs"], read["valued"])
    margin = _mean_margin(valued, reference)
    fob_importers = reference.valuation_by_reporter_year
    flows = reconcile.estimate(valued, models[reconcile.VALUE], estimator)
    flows = reconcile.reconcile_quantities(flows, models, estimator)
    pairable = reference.places.filter(pl.col("mirror_role") == "pair").select("place_code")
    totals = reconcile.mirror_totals(read["control_totals"], completeness, pairable, margin, fob_importers)
    totals = reconcile.rake_totals(totals, flows)
    reallocations = reconcile.reallocate_nes(read["nes_declared"], flows, margin, fob_importers)
    flows = reconcile.with_nes(reconcile.rake_flows(flows, totals), reallocations)
    return {"mirror_flows": flows, "mirror_totals": totals, "nes_reallocations": reallocations}


def _valued(pairs: pl.DataFrame, beside: pl.DataFrame) -> pl.DataFrame:
    """Valued pairs (schema VALUED): what valuation added, beside the pairs in the same order."""
    if not pairs.select(schema.PAIR_KEY).equals(beside.select(schema.PAIR_KEY)):
        raise schema.FrameError(
            "the valuation of a period stands beside other pairs than those on disk; values would be joined to the "
            "wrong flows; delete the folder reconciled below the data folder and run again"
        )
    return pairs.hstack(beside.drop(schema.PAIR_KEY)).select(list(schema.VALUED))


def _mean_margin(valued: pl.DataFrame, reference: Reference) -> float:
    """Value-weighted margin of the period (CIF over FOB minus one); the published mean where nothing is valued."""
    margins = valued.filter(pl.col("cif_source") != "reported")
    cif, fob = margins.select(exact_sum("importer_value_usd"), exact_sum("importer_fob_usd")).row(0)
    if fob and fob > 0:
        return float(cif) / float(fob) - 1.0
    published = reference.published_cif_models.filter(
        (pl.col("model") == PUBLISHED_MODEL) & (pl.col("term") == "mean_cif_rate")
    )
    return float(published["coefficient"].item())
