"""Small data sets behind the local stand-in of the API, and pulls from it that do not wait.

Belongs here: what is served, and one pull of it. Does not belong here: expectations.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from orchestration.comtrade.api.bodies import DESCRIBING
from orchestration.comtrade.api.client import Client
from orchestration.comtrade.api.quota import CallBook, key_name_of
from orchestration.comtrade.contract.schema import API_COLUMNS, LANDED
from orchestration.comtrade.landing import read_period
from orchestration.comtrade.ledger import LedgerEntry, read_ledger
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.pull import PullSummary, limits_of, pull
from orchestration.reference import Reference, load_reference
from orchestration.settings import PROJECT_DIR, Settings
from orchestration.stand_in import Call, Faults, Holdings, KeyLimits, StandIn, serve
from tests.unit.comtrade.api.api_answers import PLAIN_ROW

KEY = "pull-key-that-must-stand-nowhere-3fe1"
PRODUCTS = ("010121", "010129", "010130", "010190", "010221", "010229", "010231", "010239", "010290", "010310")
SECONDS_A_DAY = 86_400.0


@cache
def reference() -> Reference:
    """The reference tables, read once."""
    return load_reference(PROJECT_DIR / "dbt_project" / "seeds")


@cache
def partners() -> tuple[int, ...]:
    """Twenty places from all over the table, so that groups of partners are of like weight."""
    codes = reference().places["place_code"].sort().to_list()
    return tuple(int(code) for code in codes[:: len(codes) // 20][:20])


def data_set(
    reporter: int, period: str, row_count: int = 5, edition: str = "H6", partner: int | None = None
) -> pl.DataFrame:
    """Rows of one data set in API columns, each of another partner or product; `partner` puts them all on one."""
    rows: list[dict[str, Any]] = [
        PLAIN_ROW
        | {
            "freqCode": "A" if len(period) == 4 else "M",
            "period": period,
            "reporterCode": reporter,
            "classificationCode": edition,
            "partnerCode": partner if partner is not None else partners()[n % 20],
            "cmdCode": PRODUCTS[n % len(PRODUCTS) if partner is not None else n // 20],
            "flowCode": "M" if partner is None or n < len(PRODUCTS) else "X",
            "primaryValue": reporter * 1000 + n + 0.1,
            "cifvalue": None,
        }
        for n in range(row_count)
    ]
    return pl.DataFrame(rows, schema=API_COLUMNS)


@dataclass
class Pulling:
    """A data folder that pulls from this stand-in; `waited` are the pauses that a pull was told to make."""

    settings: Settings
    stand_in: StandIn
    first_wait_seconds: float = 0.001

    @property
    def paths(self) -> DataPaths:
        """Folders of the data."""
        return DataPaths(self.settings.data_folder)

    def pull(self, day: int = 0, key: str | None = KEY, **options: Any) -> PullSummary:
        """One pull, so many days from now."""
        limits = replace(limits_of(self.settings), first_wait_seconds=self.first_wait_seconds)
        key = None if self.settings.source == "preview" else key
        file = self.paths.pull / "calls.sqlite"
        book = CallBook(file, limits, key_name_of(key), now=lambda: time.time() + day * SECONDS_A_DAY)
        with Client(book, limits, key, self.settings.api_address, sleep=_short) as client:
            return pull(self.settings, self.paths, reference(), client, book, "a-pull", **options)

    def data_calls(self, since: int = 0) -> list[Call]:
        """Calls for rows that the stand-in answered, from this number on."""
        return [c for c in self.stand_in.calls if c.endpoint in DATA_ENDPOINTS and c.number > since]

    @property
    def ledger(self) -> list[LedgerEntry]:
        """Every ledger row, in the order of their names."""
        return sorted(read_ledger(self.paths.ledger), key=lambda entry: entry.source_file)

    def landed(self) -> pl.DataFrame:
        """Every landed row (schema LANDED), as the ledger finds it."""
        keys = sorted({key for entry in self.ledger for key in entry.period_keys})
        frames = [read_period(self.ledger, self.paths.landed, key) for key in keys]
        return pl.concat([pl.DataFrame(schema=LANDED), *frames])

    def kept_bodies(self) -> list[Path]:
        """Bodies that stand in the quarantine."""
        return sorted((self.paths.pull / "quarantine").glob("*.json"))


DATA_ENDPOINTS = ("data/v1/get", "public/v1/preview")


def _short(seconds: float) -> None:
    time.sleep(min(seconds, 0.01))


@contextmanager
def pulling(
    folder: Path,
    *served: pl.DataFrame,
    faults: Faults | None = None,
    key_limits: KeyLimits | None = None,
    **settings: Any,
) -> Iterator[Pulling]:
    """A stand-in that serves these data sets, and a data folder that pulls from it."""
    limits = key_limits or KeyLimits(rows=settings.get("api_rows_a_call", 100_000))
    stand_in = StandIn(Holdings.from_frames(served), {KEY: limits}, faults=faults, reference=reference())
    with serve(stand_in) as listening:
        given = {"source": "api", "api_key": KEY, "api_calls_a_second": 1e6, "api_longest_wait_seconds": 2.0}
        given |= {"data_dir": folder, "api_address": listening.address} | settings
        yield Pulling(Settings(**given), stand_in)


def as_served(*served: pl.DataFrame) -> pl.DataFrame:
    """These rows as an answer holds them - without descriptions - in a fixed order."""
    return in_fixed_order(pl.concat(served))


def in_fixed_order(rows: pl.DataFrame) -> pl.DataFrame:
    """API columns that an answer fills, rows sorted by all of them."""
    names = [name for name in API_COLUMNS if name not in DESCRIBING]
    return rows.select(names).sort(names, nulls_last=True)
