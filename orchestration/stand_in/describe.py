"""Descriptions of codes where the rows held have none.

Belongs here: filling ISO codes, names and unit abbreviations from the reference tables. Does not belong here: whether
they are asked for (`query`).
"""

from __future__ import annotations

import polars as pl

from orchestration.reference import Reference


class Descriptions:
    """Names of places, flows, procedures, modes, units and products, by their code."""

    def __init__(self, reference: Reference) -> None:
        places = reference.places.with_columns(pl.col("place_code").cast(pl.Int32))
        iso, name = _map(places, "place_code", "iso3"), _map(places, "place_code", "place_name")
        units = reference.quantity_units.with_columns(pl.col("quantity_unit_code").cast(pl.Int32))
        modes = reference.transport_modes.with_columns(pl.col("mot_code").cast(pl.Int32))
        abbreviation = _map(units, "quantity_unit_code", "abbreviation")
        self._of_column = {
            "reporterISO": ("reporterCode", iso),
            "reporterDesc": ("reporterCode", name),
            "flowDesc": ("flowCode", _map(reference.flows, "flow_code", "flow_name")),
            "partnerISO": ("partnerCode", iso),
            "partnerDesc": ("partnerCode", name),
            "partner2ISO": ("partner2Code", iso),
            "partner2Desc": ("partner2Code", name),
            "cmdDesc": ("cmdCode", _map(reference.products, "product_code", "product_name")),
            "customsDesc": ("customsCode", _map(reference.customs_procedures, "customs_code", "name")),
            "motDesc": ("motCode", _map(modes, "mot_code", "name")),
            "qtyUnitAbbr": ("qtyUnitCode", abbreviation),
            "altQtyUnitAbbr": ("altQtyUnitCode", abbreviation),
        }
        self._iso, self._name = iso, name

    def fill(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with every description that is known; a product without a name is described by its code."""
        filled = rows.with_columns(
            pl.col(column)
            .cast(pl.String)
            .fill_null(_plain(code).replace_strict(names, default=None, return_dtype=pl.String))
            for column, (code, names) in self._of_column.items()
            if rows[column].null_count()
        )
        return filled.with_columns(pl.col("cmdDesc").cast(pl.String).fill_null(pl.col("cmdCode").cast(pl.String)))

    def place(self, code: int) -> tuple[str | None, str | None]:
        """ISO code and name of a place, None where it is not known."""
        return self._iso.get(code), self._name.get(code)


def _map(frame: pl.DataFrame, code: str, name: str) -> dict[object, str]:
    return dict(frame.drop_nulls(name).select(code, name).iter_rows())


def _plain(code: str) -> pl.Expr:
    texts = code in {"flowCode", "cmdCode", "customsCode"}
    return pl.col(code).cast(pl.String) if texts else pl.col(code)
