"""Reference tables: the seeds of the dbt project, read as text and typed.

Belongs here: reading `dbt_project/seeds/*.csv`, so that dbt and Python use the same facts. Does not belong here:
what the facts mean (`comtrade`, `reconcile`) or any network.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from orchestration.distances import read_distances

KEYS: dict[str, tuple[str, ...]] = {
    "places": ("place_code",),
    "place_borders": ("place_code", "neighbour_code"),
    "place_roles": ("place_code", "role"),
    "valuation_by_reporter_year": ("reporter_code", "flow_code", "year_from"),
    "hs_codes": ("product_code",),
    "hs_editions": ("hs_revision",),
    "hs_correlations": ("hs_revision", "product_code", "older_hs_revision", "older_product_code"),
    "products": ("product_code",),
    "product_families": ("family_code", "product_code"),
    "controls": ("list_code", "product_code"),
    "corridors_left_out": ("exporter_code", "importer_code"),
    "flows": ("flow_code",),
    "customs_procedures": ("customs_code",),
    "transport_modes": ("mot_code",),
    "quantity_units": ("quantity_unit_code",),
    "modes_of_supply": ("mos_code",),
    "published_cif_models": ("model", "term"),
    "unit_value_thresholds": ("threshold_code",),
    "embargoes": ("embargo_code", "list_code"),
    "family_breaks": ("family_code", "hs_revision"),
    "decoy_pairs": ("controlled_family_code", "decoy_family_code"),
    "passage_rules": ("rule_code",),
    "false_positive_controls": ("control_code",),
    "place_economies": ("place_code",),
}
_TYPES: dict[str, pl.DataType] = {
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
    "latitude_deg": pl.Float64(),
    "longitude_deg": pl.Float64(),
    "coefficient": pl.Float64(),
    "threshold_z_score": pl.Float64(),
    "reference_date": pl.Date(),
    "rule_value": pl.Float64(),
    "gdp_constant_2015_usd": pl.Float64(),
    "population_count": pl.Int64(),
    "baseline_first_year": pl.Int64(),
    "baseline_last_year": pl.Int64(),
    "check_year": pl.Int64(),
    "control_number": pl.Int64(),
    "product_level": pl.Int64(),
    "year_from": pl.Int64(),
    "year_to": pl.Int64(),
}
_BOOLEANS = ("is_landlocked", "is_sub_flow", "is_edition_break", "is_on")


class ReferenceError(Exception):
    """A reference table cannot be used; the text says what is wrong, why it matters and how to mend it."""


@dataclass(frozen=True)
class Reference:
    """Every seed as a typed frame; columns as in the seed, dates as Date, yes/no as Boolean, the rest text."""

    places: pl.DataFrame
    place_borders: pl.DataFrame
    place_roles: pl.DataFrame
    valuation_by_reporter_year: pl.DataFrame
    hs_codes: pl.DataFrame
    hs_editions: pl.DataFrame
    hs_correlations: pl.DataFrame
    products: pl.DataFrame
    product_families: pl.DataFrame
    controls: pl.DataFrame
    corridors_left_out: pl.DataFrame
    flows: pl.DataFrame
    customs_procedures: pl.DataFrame
    transport_modes: pl.DataFrame
    quantity_units: pl.DataFrame
    modes_of_supply: pl.DataFrame
    published_cif_models: pl.DataFrame
    unit_value_thresholds: pl.DataFrame
    embargoes: pl.DataFrame
    family_breaks: pl.DataFrame
    decoy_pairs: pl.DataFrame
    passage_rules: pl.DataFrame
    false_positive_controls: pl.DataFrame
    place_economies: pl.DataFrame
    distances: pl.DataFrame | None = None


def load_seed(seeds_dir: Path, name: str) -> pl.DataFrame:
    """One seed, all columns text; an empty cell is NULL and the text NA (Namibia) stays text.

    Raises ReferenceError when the file is missing, a key column is missing, a key occurs twice or a row has no
    source.
    """
    path = seeds_dir / f"{name}.csv"
    if not path.is_file():
        raise ReferenceError(
            f"reference table {name} is missing at {path}; codes cannot be checked without it; "
            "restore the file from the repository"
        )
    frame = pl.read_csv(path, infer_schema=False)
    missing = [column for column in (*KEYS[name], "source") if column not in frame.columns]
    if missing:
        raise ReferenceError(
            f"reference table {name} has no column {', '.join(missing)}; rows cannot be told apart or traced; "
            f"add the column to {path.name}"
        )
    if frame["source"].null_count():
        raise ReferenceError(
            f"reference table {name} has {frame['source'].null_count()} rows without a source; a fact without a "
            f"source cannot be trusted; fill the source column of {path.name}"
        )
    twice = frame.filter(frame.select(KEYS[name]).is_duplicated())
    if twice.height:
        raise ReferenceError(
            f"reference table {name} holds the key {twice.select(KEYS[name]).row(0)} more than once; joins would "
            f"multiply declarations; keep one row per {', '.join(KEYS[name])} in {path.name}"
        )
    return frame


def _typed(frame: pl.DataFrame) -> pl.DataFrame:
    casts = [pl.col(c).str.to_date("%Y-%m-%d") for c in frame.columns if _TYPES.get(c) == pl.Date()]
    casts += [pl.col(c).cast(t) for c, t in _TYPES.items() if c in frame.columns and t != pl.Date()]
    casts += [pl.col(c) == "true" for c in _BOOLEANS if c in frame.columns]
    return frame.with_columns(casts)


def load_reference(seeds_dir: Path, distances: Path | None = None) -> Reference:
    """All seeds, typed, and the user's file of distances where one is named.

    Raises ReferenceError as `load_seed` does, or when a cell is not of its column's type; DistanceFileError as
    `read_distances` does.
    """
    frames: dict[str, pl.DataFrame] = {}
    for name in KEYS:
        try:
            frames[name] = _typed(load_seed(seeds_dir, name))
        except pl.exceptions.InvalidOperationError as error:
            raise ReferenceError(
                f"reference table {name} holds a cell of the wrong type; dates are YYYY-MM-DD and numbers plain; "
                f"mend it in {name}.csv: {error}"
            ) from error
    own = read_distances(distances, frames["places"]) if distances is not None else None
    return Reference(**frames, distances=own)


def reference_fingerprint(seeds_dir: Path, distances: Path | None = None) -> str:
    """SHA-256 (hex) over names and bytes of all seeds, in name order, and of the user's file of distances."""
    digest = hashlib.sha256(distances.read_bytes() if distances is not None else b"")
    for path in sorted(seeds_dir.glob("*.csv")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
