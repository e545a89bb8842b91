"""The source contract: landed rows in, every filed dollar in exactly one account out.

Belongs here: rules about single declarations and sets of one reporter, as pure functions on Polars frames. Does
not belong here: reading files (the readers), comparing two reporters (`reconcile`), thresholds (`expectations`).
"""

from orchestration.comtrade.contract.accounts import ACCOUNT_REASONS, PART_REASONS, is_part
from orchestration.comtrade.contract.apply import ContractResult, apply_contract
from orchestration.comtrade.contract.balance import account_balance
from orchestration.comtrade.contract.coverage import reported_presence, with_completeness, year_completeness
from orchestration.comtrade.contract.schema import ContractError
from orchestration.comtrade.contract.tables import ContractTables

__all__ = [
    "ACCOUNT_REASONS",
    "PART_REASONS",
    "ContractError",
    "ContractResult",
    "ContractTables",
    "account_balance",
    "apply_contract",
    "is_part",
    "reported_presence",
    "with_completeness",
    "year_completeness",
]
