"""Conservation: every filed dollar stands in exactly one account.

Belongs here: the balance of the accounts and the refusal when it does not hold. Does not belong here: rules.
"""

from __future__ import annotations

import polars as pl

from orchestration.comtrade.contract.schema import BALANCE, ContractError, conform
from orchestration.sums import amount, exact_sum

RELATIVE_TOLERANCE = 1e-9


def account_balance(landed: pl.DataFrame, declarations: pl.DataFrame) -> pl.DataFrame:
    """Rows and value (USD) per account and reason, checked against the landed rows (schema BALANCE).

    Raises ContractError when rows or dollars of `landed` are missing from `declarations` or stand there twice.
    """
    if declarations.height != landed.height or declarations["declaration_id"].n_unique() != landed.height:
        raise ContractError(
            f"{landed.height} landed rows became {declarations.height} declarations, "
            f"{declarations['declaration_id'].n_unique()} of them distinct; value would vanish or count twice; "
            "see that delivery_id and source_line name each landed row once"
        )
    filed_values = landed.select(amount("primaryValue")).to_series()
    filed, booked = _sum(filed_values), _sum(declarations["value_usd"])
    if abs(filed - booked) > RELATIVE_TOLERANCE * max(_sum(filed_values.abs()), 1.0):
        raise ContractError(
            f"{filed} USD were landed but {booked} USD are booked; every filed dollar must stand in one account; "
            "look for a join that multiplies or drops declarations"
        )
    balance = declarations.group_by("account", "account_reason").agg(
        pl.len().alias("declaration_count"), exact_sum("value_usd")
    )
    return conform(balance, BALANCE, "account balances").sort("account", "account_reason")


def _sum(values: pl.Series) -> float:
    return float(values.to_frame("amount").select(exact_sum("amount")).item())
