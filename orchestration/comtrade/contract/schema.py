"""Columns and types of what enters and leaves the source contract.

Belongs here: column names, Polars types, key order of every table of the contract, and the casts at its boundary.
Does not belong here: any rule about what a row means.
"""

from __future__ import annotations

import polars as pl

Schema = dict[str, pl.DataType]

_TEXT, _COUNT, _NUMBER, _FLAG, _DAY = pl.String(), pl.Int64(), pl.Float64(), pl.Boolean(), pl.Date()

API_COLUMNS: Schema = {
    "typeCode": _TEXT,
    "freqCode": _TEXT,
    "refPeriodId": _COUNT,
    "refYear": _COUNT,
    "refMonth": _COUNT,
    "period": _TEXT,
    "reporterCode": _COUNT,
    "reporterISO": _TEXT,
    "reporterDesc": _TEXT,
    "flowCode": _TEXT,
    "flowDesc": _TEXT,
    "partnerCode": _COUNT,
    "partnerISO": _TEXT,
    "partnerDesc": _TEXT,
    "partner2Code": _COUNT,
    "partner2ISO": _TEXT,
    "partner2Desc": _TEXT,
    "classificationCode": _TEXT,
    "classificationSearchCode": _TEXT,
    "isOriginalClassification": _FLAG,
    "cmdCode": _TEXT,
    "cmdDesc": _TEXT,
    "aggrLevel": _COUNT,
    "isLeaf": _FLAG,
    "customsCode": _TEXT,
    "customsDesc": _TEXT,
    "mosCode": _TEXT,
    "motCode": _COUNT,
    "motDesc": _TEXT,
    "qtyUnitCode": _COUNT,
    "qtyUnitAbbr": _TEXT,
    "qty": _NUMBER,
    "isQtyEstimated": _FLAG,
    "altQtyUnitCode": _COUNT,
    "altQtyUnitAbbr": _TEXT,
    "altQty": _NUMBER,
    "isAltQtyEstimated": _FLAG,
    "netWgt": _NUMBER,
    "isNetWgtEstimated": _FLAG,
    "grossWgt": _NUMBER,
    "isGrossWgtEstimated": _FLAG,
    "cifvalue": _NUMBER,
    "fobvalue": _NUMBER,
    "primaryValue": _NUMBER,
    "legacyEstimationFlag": _COUNT,
    "isReported": _FLAG,
    "isAggregate": _FLAG,
}
PROVENANCE: Schema = {"source_file": _TEXT, "source_format": _TEXT, "delivery_id": _TEXT, "source_line": _COUNT}
READER_FLAGS: Schema = {"quarantine_field": _TEXT, "quarantine_value": _TEXT}
LANDED: Schema = API_COLUMNS | PROVENANCE | READER_FLAGS
# Of which data set a delivery is a version, and whether it holds all rows of that version; NULL where it is no version
# of one: a download may hold a part of anything.
VERSION_FACTS: Schema = {"data_set": _TEXT, "is_whole": _FLAG}
PRECEDENCE: Schema = {"delivery_id": _TEXT, "precedence": _COUNT} | VERSION_FACTS

DECLARATIONS: Schema = {
    "declaration_id": _TEXT,
    "delivery_id": _TEXT,
    "source_file": _TEXT,
    "source_line": _COUNT,
    "source_format": _TEXT,
    "frequency": _TEXT,
    "period": _TEXT,
    "period_start": _DAY,
    "reporter_code": _TEXT,
    "reporter_iso3": _TEXT,
    "flow_code": _TEXT,
    "partner_code": _TEXT,
    "partner_iso3": _TEXT,
    "partner2_code": _TEXT,
    "product_code": _TEXT,
    "product_level": _COUNT,
    "chapter_code": _TEXT,
    "hs_revision": _TEXT,
    "customs_code": _TEXT,
    "mot_code": _TEXT,
    "mos_code": _TEXT,
    "value_usd": _NUMBER,
    "cif_value_usd": _NUMBER,
    "fob_value_usd": _NUMBER,
    "valuation_filed": _TEXT,
    "quantity": _NUMBER,
    "quantity_unit_code": _TEXT,
    "is_quantity_estimated": _FLAG,
    "net_weight_kg": _NUMBER,
    "is_net_weight_estimated": _FLAG,
    "gross_weight_kg": _NUMBER,
    "is_reported": _FLAG,
    "is_aggregate": _FLAG,
    "is_confidential": _FLAG,
    "account": _TEXT,
    "account_reason": _TEXT,
    "quarantine_field": _TEXT,
    "quarantine_value": _TEXT,
}
CONTROL_TOTALS: Schema = {
    "frequency": _TEXT,
    "period": _TEXT,
    "period_start": _DAY,
    "reporter_code": _TEXT,
    "reporter_iso3": _TEXT,
    "flow_code": _TEXT,
    "partner_code": _TEXT,
    "partner_iso3": _TEXT,
    "product_code": _TEXT,
    "product_level": _COUNT,
    "hs_revision": _TEXT,
    "control_value_usd": _NUMBER,
    "parts_value_usd": _NUMBER,
    "coverage_ratio": _NUMBER,
    "declaration_id": _TEXT,
}
COVERAGE: Schema = {
    "frequency": _TEXT,
    "period": _TEXT,
    "period_start": _DAY,
    "reporter_code": _TEXT,
    "reporter_iso3": _TEXT,
    "flow_code": _TEXT,
    "declaration_count": _COUNT,
    "pair_value_usd": _NUMBER,
    "special_value_usd": _NUMBER,
    "quarantine_value_usd": _NUMBER,
    "control_total_usd": _NUMBER,
    "coverage_ratio": _NUMBER,
    "confidential_value_usd": _NUMBER,
    "confidential_share_ratio": _NUMBER,
    "quarantine_share_ratio": _NUMBER,
    "is_reporting": _FLAG,
    "is_complete": _FLAG,
    "months_reported_count": _COUNT,
}
REVISIONS: Schema = {
    "frequency": _TEXT,
    "period": _TEXT,
    "reporter_code": _TEXT,
    "older_delivery_id": _TEXT,
    "newer_delivery_id": _TEXT,
    "keys_added_count": _COUNT,
    "keys_removed_count": _COUNT,
    "keys_revised_count": _COUNT,
    "keys_unchanged_count": _COUNT,
    "older_value_usd": _NUMBER,
    "newer_value_usd": _NUMBER,
    "value_added_usd": _NUMBER,
    "value_removed_usd": _NUMBER,
    "value_moved_usd": _NUMBER,
    "net_change_usd": _NUMBER,
    "editions_changed_count": _COUNT,
}
BALANCE: Schema = {"account": _TEXT, "account_reason": _TEXT, "declaration_count": _COUNT, "value_usd": _NUMBER}
COMPLETENESS: Schema = {
    "reporter_code": _TEXT,
    "year": _COUNT,
    "months_reported_count": _COUNT,
    "has_annual_set": _FLAG,
    "is_complete": _FLAG,
}
PRESENCE: Schema = {"frequency": _TEXT, "period": _TEXT, "reporter_code": _TEXT}

ORDER: dict[str, tuple[str, ...]] = {
    "declarations": (
        "frequency", "period", "reporter_code", "flow_code", "partner_code", "product_code", "declaration_id"
    ),
    "control_totals": ("frequency", "period", "reporter_code", "flow_code", "partner_code", "product_code"),
    "coverage": ("frequency", "period", "reporter_code", "flow_code"),
    "revisions": ("frequency", "period", "reporter_code", "older_delivery_id", "newer_delivery_id"),
}  # fmt: skip


class ContractError(ValueError):
    """The contract cannot be applied; the text says what is wrong, why it matters and how to mend it."""


def conform(frame: pl.DataFrame, schema: Schema, what: str, optional: Schema | None = None) -> pl.DataFrame:
    """The columns of `schema` in its order, cast; columns of `optional` that are absent become NULL.

    Raises ContractError when another column is absent or a cell cannot be cast.
    """
    absent = [name for name in schema if name not in frame.columns]
    missing = [name for name in absent if name not in (optional or {})]
    if missing:
        raise ContractError(
            f"{what} lack the column {', '.join(missing)}; the contract would guess it; hand over every column "
            "of the schema, NULL where nothing was filed"
        )
    columns = [
        pl.lit(None, dtype=dtype).alias(name) if name in absent else pl.col(name).cast(dtype)
        for name, dtype in schema.items()
    ]
    try:
        return frame.select(columns)
    except pl.exceptions.InvalidOperationError as error:
        raise ContractError(
            f"{what} hold a cell of the wrong type; its value would be lost; let the reader put the raw text into "
            f"quarantine_field and quarantine_value: {error}"
        ) from error
