"""The account every declaration is booked to, once.

Belongs here: the order in which the findings of the other modules decide. Does not belong here: the findings.
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract.tables import TOTAL_PRODUCT, WORLD_CODE, ContractTables

ACCOUNT_REASONS: dict[str, tuple[str, ...]] = {
    "pair": ("kept", "summed_from_breakdown"),
    "total": ("world_partner", "coarser_level", "total_product"),
    "special": (
        "special_partner",
        "self_trade",
        "group_place",
        "sub_flow",
        "breakdown_beside_total",
        "superseded_vintage",
        "non_hs_classification",
    ),
    "quarantine": (
        "unknown_flow",
        "unknown_place",
        "unknown_product",
        "unknown_unit",
        "unknown_customs",
        "unknown_transport",
        "unknown_mode_of_supply",
        "unparseable_field",
        "place_not_valid_at_date",
        "duplicate_row",
        "conflicting_duplicate",
        "missing_value",
        "negative_value",
        "impossible_amount",
        "unknown_column",
    ),
}
# Rows of these reasons are parts of a reporter's trade at their finest level, though not all can be paired.
PART_REASONS = ("kept", "summed_from_breakdown", "special_partner", "self_trade", "group_place")


def is_part() -> pl.Expr:
    """True for rows whose values add up to the reporter's trade, each shipment once."""
    return pl.col("account_reason").is_in(PART_REASONS)


def book(frame: pl.DataFrame, tables: ContractTables) -> pl.DataFrame:
    """Adds account and account_reason; quarantine_field and _value stay only where the row is quarantined."""
    frame = frame.with_columns(_reason(tables.sub_flow_codes()).alias("account_reason"))
    accounts = {reason: account for account, reasons in ACCOUNT_REASONS.items() for reason in reasons}
    frame = frame.with_columns(pl.col("account_reason").replace_strict(accounts).alias("account"))
    quarantined = pl.col("account") == "quarantine"
    return frame.with_columns(
        pl.when(quarantined).then(pl.col(name)).alias(name) for name in ("quarantine_field", "quarantine_value")
    )


def _reason(sub_flows: list[str]) -> pl.Expr:
    """A superseded row is no longer filed, so its faults count no more; sub-flows are inside X or M at every level.

    Levels come before places: a corridor with a special partner also has coarser rows, and they are its totals.
    """
    decisions = [
        (pl.col("_is_superseded"), pl.lit("superseded_vintage")),
        (pl.col("_reason").is_not_null(), pl.col("_reason")),
        (~pl.col("_is_hs"), pl.lit("non_hs_classification")),
        (~pl.col("_counts"), pl.lit("breakdown_beside_total")),
        (pl.col("flow_code").is_in(sub_flows), pl.lit("sub_flow")),
        (pl.col("product_code") == TOTAL_PRODUCT, pl.lit("total_product")),
        (pl.col("partner_code") == WORLD_CODE, pl.lit("world_partner")),
        (pl.col("_is_coarser"), pl.lit("coarser_level")),
        (_either_role("excluded"), pl.lit("group_place")),
        (_either_role("special"), pl.lit("special_partner")),
        (pl.col("reporter_code") == pl.col("partner_code"), pl.lit("self_trade")),
        (pl.col("_is_summed"), pl.lit("summed_from_breakdown")),
    ]
    reason: pl.Expr = pl.lit("kept")
    for condition, booked in reversed(decisions):
        reason = pl.when(condition).then(booked).otherwise(reason)
    return reason


def _either_role(role: str) -> pl.Expr:
    return (pl.col("_reporter_role") == role) | (pl.col("_partner_role") == role)
