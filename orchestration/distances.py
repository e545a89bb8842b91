"""Distances that a user brings: CEPII's GeoDist bilateral file, beside the project's own great circles.

Belongs here: reading that file and naming its ends by the project's place codes. Does not belong here: great circles
(`orchestration.reconcile.tables`). CEPII's file may not be passed on with the project; who has it names it in
MIRROR_DISTANCES, and a corridor that it does not hold keeps its great circle. Source: Mayer and Zignago (2011), Notes
on CEPII's distances measures: the GeoDist database, CEPII 2011-25.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import polars as pl

COLUMNS = {"iso_o": pl.String(), "iso_d": pl.String(), "contig": pl.Int64(), "dist": pl.Float64()}
# Some editions of the file name the ends otherwise.
OTHER_NAMES = {"exporter": "iso_o", "importer": "iso_d"}
# Codes of the file that ISO has replaced since.
REPLACED = {"ROM": "ROU", "ZAR": "COD", "TMP": "TLS", "PAL": "PSE", "YUG": "SRB"}


class DistanceFileError(ValueError):
    """The file named in MIRROR_DISTANCES cannot be used."""


def read_distances(path: Path, places: pl.DataFrame) -> pl.DataFrame:
    """Distances of a GeoDist file (dist_cepii.dta or the same columns as .csv).

    Args: places with place_code, iso3 and mirror_role. Returns exporter_code, importer_code, distance_km (`dist`:
    great circle between the most populous cities), is_contiguous; one row per corridor of places that pair. Raises
    DistanceFileError when the file is missing, of another kind, lacks columns, or names no known place.
    """
    frame = _read(path).rename(OTHER_NAMES, strict=False)
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        raise DistanceFileError(
            f"{path.name} has no column {', '.join(missing)}; without them it says nothing about a corridor; name "
            "CEPII's bilateral GeoDist file (dist_cepii.dta) in MIRROR_DISTANCES"
        )
    rows = frame.select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
    rows = rows.with_columns(pl.col("iso_o", "iso_d").str.strip_chars().replace(REPLACED))
    codes = places.filter(pl.col("mirror_role") == "pair").select("iso3", "place_code").drop_nulls()
    ends = {"iso_o": "exporter_code", "iso_d": "importer_code"}
    for iso, code in ends.items():
        rows = rows.join(codes.rename({"place_code": code}), left_on=iso, right_on="iso3")
    known = rows.filter(pl.col("dist") > 0).select(
        "exporter_code", "importer_code", distance_km="dist", is_contiguous=pl.col("contig") == 1
    )
    if known.is_empty():
        raise DistanceFileError(
            f"{path.name} names no two places that are known here; its distances would be used nowhere; look at its "
            "columns iso_o and iso_d, which should hold three-letter codes"
        )
    return known.unique(["exporter_code", "importer_code"], keep="first", maintain_order=True).sort(
        "exporter_code", "importer_code"
    )


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise DistanceFileError(
            f"no file of distances at {path}; the run was asked to use it; mend MIRROR_DISTANCES, or unset it to use "
            "the project's own great circles"
        )
    if path.suffix == ".csv":
        return pl.read_csv(path, infer_schema=False)
    if path.suffix == ".dta":
        return pl.from_pandas(pd.read_stata(path, columns=None, convert_categoricals=False))
    raise DistanceFileError(
        f"{path.name} is neither .dta nor .csv; it cannot be read; unpack CEPII's archive and name dist_cepii.dta"
    )
