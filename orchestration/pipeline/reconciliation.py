"""From contracted declarations to reconciled flows: pairs per period, parameters across periods, flows per period.

Belongs here: which frames meet in which call, what is skipped because it is unchanged. Does not belong here: any
formula (`orchestration.reconcile`).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import polars as pl

from orchestration import reconcile
from orchestration.comtrade.contract import reported_presence
from orchestration.pipeline.declarations import PeriodSummary
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.slices import WHOLE, Slice, SlicedTable, declarations_of, read_slice, slices_of
from orchestration.pipeline.storage import (
    Stamps,
    combine,
    each_period,
    fingerprint_of_frame,
    remove_other_files,
    rows_of,
    sha256_of_file,
    write_frame,
)
from orchestration.reconcile import schema
from orchestration.reconcile.cif_model import PUBLISHED_MODEL
from orchestration.reference import Reference
from orchestration.sums import exact_sum, exact_total

DEFAULT_METHOD = reconcile.VarianceComponents.name
# Two periods of more declared rows, or pairs, than this are not worked at once: each holds them several times over.
LARGE_PERIOD_ROWS, LARGE_PERIOD_PAIRS = 150_000, 60_000
PAIR_TABLES = ("pairs", "sources", "nes_declared")
TRAINING_TABLES = ("valuation_training", "cif_source_values")
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
    for table in (*PAIR_TABLES, *TRAINING_TABLES, "valued", *FLOW_TABLES):
        remove_other_files(paths.reconciled / table, set(all_period_keys))
    large = {key for key in period_keys if _declared_rows(paths, key) > LARGE_PERIOD_ROWS}
    return each_period(lambda key: _pair_period(paths, key, all_period_keys, tables, stamps, code), period_keys, large)


def _declared_rows(paths: DataPaths, key: str) -> int:
    own = paths.table("contracted", "declarations", key)
    return rows_of(own) if own.exists() else 0


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


def _exports_of(
    paths: DataPaths, key: str | None, period_keys: Sequence[str], part: Slice = WHOLE
) -> pl.DataFrame | None:
    """What exporters declared in a period that the run holds, else None."""
    if key not in period_keys:
        return None
    columns = [*schema.PAIR_KEY, "exporter_value_usd"]
    return read_slice(paths.table("reconciled", "pairs", str(key)), part, columns)


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
    outputs = {name: paths.table("reconciled", name, key) for name in (*PAIR_TABLES, *TRAINING_TABLES)}
    months = months_of(key, all_keys)
    inputs = [paths.table("contracted", "declarations", k) for k in (key, *months)]
    completeness = completeness_of(paths, key)
    complete = ",".join(completeness.filter(pl.col("is_complete"))["reporter_code"].to_list())
    fingerprint = combine(*(sha256_of_file(path) for path in inputs), complete, code)
    current = stamps.is_current(key, fingerprint, outputs.values())
    if current:
        counted = _counted(pl.scan_parquet(outputs["pairs"]), *_PAIR_AMOUNTS).collect()
    else:
        counted = _write_pairs(inputs, key, completeness, tables, outputs)
        stamps.write(key, fingerprint)
    return _summary(key, counted, current)


_PAIR_AMOUNTS = ("exporter_value_usd", "importer_value_usd")
Rows = TypeVar("Rows", pl.DataFrame, pl.LazyFrame)


def _counted(rows: Rows, *amounts: str) -> Rows:
    """Number of rows and what the amounts add up to, as a decimal: (rows, value_usd)."""
    return rows.select(rows=pl.len(), value_usd=pl.sum_horizontal(exact_total(name) for name in amounts))


def _summary(key: str, counted: pl.DataFrame, is_current: bool) -> PeriodSummary:
    """Summary of a period from what its slices count."""
    rows, value = counted.select(exact_sum("rows"), exact_sum("value_usd")).row(0)
    return PeriodSummary(key, int(rows), float(value or 0.0), is_current)


def _write_pairs(
    inputs: Sequence[Path],
    key: str,
    completeness: pl.DataFrame,
    tables: reconcile.ReconcileTables,
    outputs: Mapping[str, Path],
) -> pl.DataFrame:
    """Pair one period, slice by slice; what the slices teach is joined and thinned. Returns their counts."""
    frequency, period = key.split("-", 1)
    year = int(period) if frequency == "A" else None
    areas, training, sources, counts = [], [], [], []
    with (
        tempfile.TemporaryDirectory(prefix="slices-", dir=_made(outputs["pairs"].parent.parent)) as folder,
        SlicedTable(outputs["pairs"]) as pairs,
        SlicedTable(outputs["sources"]) as filed,
    ):
        period_rows = declarations_of(inputs[0], list(inputs[1:]), year, Path(folder))
        for declarations in period_rows.frames:
            paired = reconcile.pair(declarations, completeness, tables, period_rows.facts)
            pairs.add(paired.pairs)
            counts.append(_counted(paired.pairs, *_PAIR_AMOUNTS))
            filed.add(paired.sources)
            areas.append(reconcile.nes_declared(declarations, tables))
            with_source = reconcile.cif_sources(paired.pairs, tables)
            training.append(reconcile.valuation_training(with_source))
            sources.append(with_source.group_by("cif_source").agg(value_usd=exact_total("importer_value_usd")))
    write_frame(outputs["nes_declared"], pl.concat(areas))
    write_frame(outputs["valuation_training"], reconcile.thin_valuation_training(pl.concat(training)))
    write_frame(outputs["cif_source_values"], _added(sources))
    return pl.concat(counts)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _added(by_source: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Values by source of the margin, added up: (cif_source, value_usd)."""
    return pl.concat(by_source).group_by("cif_source").agg(exact_sum("value_usd")).sort("cif_source")


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

        with tempfile.TemporaryDirectory(prefix="training-", dir=paths.reconciled) as folder:
            training = Path(folder)
            each_period(
                lambda key: _value_period(paths, key, period_keys, models[key[0]], tables, training),
                period_keys,
                _large(paths, period_keys),
            )
            fitted = _fit_measures(training, period_keys)
        for name, table in reconcile.stack_models(fitted).items():
            write_frame(outputs[name], table)
        write_frame(outputs["cif_model"], pl.concat([models[f].card for f in sorted(models)]))
        stamps.write("parameters", fingerprint)
    return {name: rows_of(path) for name, path in outputs.items()}


def _value_period(
    paths: DataPaths,
    key: str,
    period_keys: Sequence[str],
    model: reconcile.ValuationModel,
    tables: reconcile.ReconcileTables,
    training: Path,
) -> None:
    """Write the valued pairs of one period, and what it teaches of each measure into the folder `training`."""
    pairs = paths.table("reconciled", "pairs", key)
    taught: dict[str, list[pl.DataFrame]] = {measure: [] for measure in reconcile.MEASURES}
    with SlicedTable(paths.table("reconciled", "valued", key)) as written:
        for part in slices_of(pairs):
            before = _exports_of(paths, month_before(key), period_keys, part)
            frame = reconcile.apply_valuation(read_slice(pairs, part), model, tables)
            frame = reconcile.with_previous_month(frame, before)
            written.add(frame.select(VALUED_BESIDE_PAIRS))
            taught[reconcile.VALUE].append(reconcile.reliability_training(frame))
            for measure, rows in reconcile.quantity_training(frame).items():
                taught[measure].append(rows)
    for measure, frames in taught.items():
        own = training / measure
        own.mkdir(exist_ok=True)
        # Read once and thrown away: Parquet would take three times as long to write.
        reconcile.thin_reliability_training(pl.concat(frames)).write_ipc(own / f"{key}.arrow", compression="lz4")


def _fit_measures(training: Path, period_keys: Sequence[str]) -> dict[str, reconcile.ReliabilityModel]:
    """Fit every measure; each frequency by itself, so that the rows of one are held and not of all.

    Years lean on the months of their measure: they are fitted beside the months of the next one.
    """
    frequencies = sorted({key[0] for key in period_keys})
    leaning = [frequency for frequency in frequencies if frequency in reconcile.LEANS_ON]
    fitted: dict[tuple[str, str], reconcile.ReliabilityModel] = {}

    def fit(task: tuple[str, str]) -> reconcile.ReliabilityModel:
        measure, frequency = task
        own = [key for key in period_keys if key.startswith(frequency)]
        months = fitted.get((measure, reconcile.LEANS_ON.get(frequency, "")))
        # The rows have no name here: the fit lets go of them as soon as they are numbered.
        return reconcile.fit_reliability(pl.concat(pl.read_ipc(training / measure / f"{k}.arrow") for k in own), months)

    for before, measure in zip([None, *reconcile.MEASURES], [*reconcile.MEASURES, None], strict=True):
        tasks = [(before, frequency) for frequency in leaning if before]
        tasks += [(measure, frequency) for frequency in frequencies if measure and frequency not in leaning]
        fitted |= dict(zip(tasks, each_period(fit, tasks), strict=True))
    return {m: reconcile.join_models([fitted[m, frequency] for frequency in frequencies]) for m in reconcile.MEASURES}


def _fit_valuation(
    paths: DataPaths, period_keys: Sequence[str], tables: reconcile.ReconcileTables
) -> dict[str, reconcile.ValuationModel]:
    models: dict[str, reconcile.ValuationModel] = {}
    for frequency in sorted({key[0] for key in period_keys}):
        keys = [key for key in period_keys if key.startswith(frequency)]
        training = pl.concat(pl.read_parquet(paths.table("reconciled", "valuation_training", k)) for k in keys)
        by_source = _added([pl.read_parquet(paths.table("reconciled", "cif_source_values", k)) for k in keys])
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
    fitted = {
        frequency: combine(*_parameters_of(folder, frequency), code, method)
        for frequency in sorted({key[0] for key in period_keys})
    }
    estimator = reconcile.ESTIMATORS[method]()
    return each_period(
        lambda key: _reconcile_period(paths, key, models, estimator, reference, stamps, fitted[key[0]]),
        period_keys,
        _large(paths, period_keys),
    )


def _large(paths: DataPaths, period_keys: Sequence[str]) -> set[str]:
    """Periods of so many pairs that two at once would hold too much."""
    return {key for key in period_keys if rows_of(paths.table("reconciled", "pairs", key)) > LARGE_PERIOD_PAIRS}


def _parameters_of(folder: Path, frequency: str) -> list[str]:
    """Fingerprints of the parameters of one frequency: those of the other change nothing in its flows."""
    tables = (pl.read_parquet(folder / f"{name}.parquet") for name in PARAMETER_TABLES)
    own = (table.filter(pl.col("frequency") == frequency) for table in tables)
    return [fingerprint_of_frame(table) for table in own]


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
    if current:
        counted = _counted(pl.scan_parquet(outputs["mirror_flows"]), "reconciled_fob_usd").collect()
    else:
        counted = _write_flows(inputs, completeness_of(paths, key), models, estimator, reference, outputs)
        stamps.write(key, fingerprint)
    return _summary(key, counted, current)


def _write_flows(
    inputs: Mapping[str, Path],
    completeness: pl.DataFrame,
    models: Mapping[str, reconcile.ReliabilityModel],
    estimator: reconcile.Estimator,
    reference: Reference,
    outputs: Mapping[str, Path],
) -> pl.DataFrame:
    """Write the three tables of one period that the flows are told in (FLOW_TABLES), slice by slice; returns counts.

    What needs the whole period, totals and areas nes, is made first from the few columns it needs.
    """
    parts = slices_of(inputs["valued"])
    # A period of one slice is held and read once.
    held = _read_valued(inputs, WHOLE, list(schema.VALUED)) if parts == [WHOLE] else None

    def read(part: Slice, columns: Sequence[str]) -> pl.DataFrame:
        return held.select(columns) if held is not None else _read_valued(inputs, part, columns)

    margin = _mean_margin((read(part, _MARGIN_COLUMNS) for part in parts), reference)
    fob_importers = reference.valuation_by_reporter_year
    pairable = reference.places.filter(pl.col("mirror_role") == "pair").select("place_code")
    controls = pl.read_parquet(inputs["control_totals"], columns=list(reconcile.CONTROL_TOTALS_NEEDED))
    totals = reconcile.mirror_totals(controls, completeness, pairable, margin, fob_importers)
    declared = pl.read_parquet(inputs["nes_declared"])
    is_wanted = pl.col("product_code").is_in(declared["product_code"].unique().sort().implode())
    lacking = pl.concat([read(part, _LACKING_COLUMNS).filter(is_wanted) for part in parts])
    reallocations = reconcile.reallocate_nes(declared, lacking, margin, fob_importers)
    raked_totals, counts = [], []
    with SlicedTable(outputs["mirror_flows"]) as written:
        for part in parts:
            flows = reconcile.estimate(read(part, list(schema.VALUED)), models[reconcile.VALUE], estimator)
            flows = reconcile.reconcile_quantities(flows, models, estimator)
            raked = reconcile.rake_totals(totals.filter(part.holds()), flows)
            own = flows["mirror_flow_id"] if part != WHOLE else None
            given = reallocations
            if own is not None:
                given = given.filter(pl.col("mirror_flow_id").is_in(own.implode()))
            written.add(reconcile.with_nes(reconcile.rake_flows(flows, raked), given))
            raked_totals.append(raked)
            counts.append(_counted(flows, "reconciled_fob_usd"))
    write_frame(outputs["mirror_totals"], pl.concat(raked_totals))
    write_frame(outputs["nes_reallocations"], reallocations)
    return pl.concat(counts)


_MARGIN_COLUMNS = ("importer_value_usd", "cif_source", "importer_fob_usd")
# Of the flows of a product that some reporter files under an area nes.
_LACKING_COLUMNS = (
    *("mirror_flow_id", *schema.PAIR_KEY, "exporter_iso3", "importer_iso3", "is_confidential"),
    *("exporter_fob_usd", "importer_fob_usd"),
)


def _read_valued(inputs: Mapping[str, Path], part: Slice, columns: Sequence[str]) -> pl.DataFrame:
    """Valued pairs (columns of schema VALUED) of a slice: what valuation added, beside the pairs in the same order."""
    pairs, beside = (
        read_slice(
            inputs[name], part, [*schema.PAIR_KEY, *(c for c in own if c in columns and c not in schema.PAIR_KEY)]
        )
        for name, own in (("pairs", schema.PAIRS), ("valued", VALUED_BESIDE_PAIRS))
    )
    if not pairs.select(schema.PAIR_KEY).equals(beside.select(schema.PAIR_KEY)):
        raise schema.FrameError(
            "the valuation of a period stands beside other pairs than those on disk; values would be joined to the "
            "wrong flows; delete the folder reconciled below the data folder and run again"
        )
    return pairs.hstack(beside.drop(schema.PAIR_KEY)).select(columns)


def _mean_margin(valued: Iterable[pl.DataFrame], reference: Reference) -> float:
    """Value-weighted margin of the period (CIF over FOB minus one); the published mean where nothing is valued."""
    amounts = ("importer_value_usd", "importer_fob_usd")
    parts = [rows.filter(pl.col("cif_source") != "reported").select(map(exact_total, amounts)) for rows in valued]
    cif, fob = pl.concat(parts).select(map(exact_sum, amounts)).row(0)
    if fob and fob > 0:
        return float(cif) / float(fob) - 1.0
    published = reference.published_cif_models.filter(
        (pl.col("model") == PUBLISHED_MODEL) & (pl.col("term") == "mean_cif_rate")
    )
    return float(published["coefficient"].item())
