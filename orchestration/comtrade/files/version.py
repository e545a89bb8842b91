"""Which readers a delivery was read with: their code, how rows land, the table of places that some of them need.

Belongs here: the fingerprint. Does not belong here: what happens when it changes (`landing`).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import polars as pl

from orchestration.comtrade.contract import schema

_HEX_DIGITS = 12


def reader_fingerprint(places: pl.DataFrame) -> str:
    """Fingerprint (12 hex digits) of the readers and of `places`: equal ones read the same rows from the same file."""
    digest = hashlib.sha256(_code())
    digest.update(places.select(pl.all().cast(pl.String)).write_csv().encode())
    return digest.hexdigest()[:_HEX_DIGITS]


@lru_cache(maxsize=1)
def _code() -> bytes:
    here = Path(__file__).parent
    modules = [*sorted(here.glob("*.py")), here.parent / "landing.py", Path(str(schema.__file__))]
    return b"".join(hashlib.sha256(module.read_bytes()).digest() for module in modules)
