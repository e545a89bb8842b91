"""Answers of the API and a client that hears them, for the tests of the API source.

Belongs here: bodies that are as the API writes them, and a server that plays a list of answers. Does not belong here:
expectations.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from orchestration.comtrade.api.client import Client
from orchestration.comtrade.api.limits import Limits
from orchestration.comtrade.api.quota import CallBook, key_name_of
from orchestration.comtrade.api.requests import DataRequest, DataSet, Version
from orchestration.comtrade.contract.schema import API_COLUMNS

KEY = "key-that-must-stand-nowhere-77c0"
REQUEST = DataRequest("C", "A", "HS", ("2022",), ("156",))
FAST = Limits(calls_a_second=1_000_000.0)
_FILED: dict[str, Any] = {
    "typeCode": "C", "freqCode": "A", "refPeriodId": 20220101, "refYear": 2022, "refMonth": 52, "period": "2022",
    "reporterCode": 156, "flowCode": "M", "partnerCode": 643, "partner2Code": 0, "classificationCode": "H6",
    "classificationSearchCode": "HS", "isOriginalClassification": True, "cmdCode": "854231", "customsCode": "C00",
    "mosCode": "0", "motCode": 0, "qtyUnitCode": -1, "isQtyEstimated": False, "cifvalue": 12.5, "primaryValue": 12.5,
    "legacyEstimationFlag": 0, "isReported": True, "isAggregate": False,
}  # fmt: skip
PLAIN_ROW: dict[str, Any] = dict.fromkeys(API_COLUMNS) | _FILED
"""A row as it comes without descriptions: every column, those that describe null."""


def answer_body(*rows: dict[str, Any], **envelope: object) -> bytes:
    """The body of an answer that holds these rows; parts of the envelope may be told otherwise."""
    said = {"elapsedTime": "0.01 secs", "count": len(rows), "data": list(rows), "error": ""}
    return json.dumps(said | envelope).encode()


def listed(**changes: object) -> dict[str, object]:
    """A row of the availability list."""
    return {
        "datasetCode": 20156202201106600, "typeCode": "C", "freqCode": "A", "period": 2022, "reporterCode": 56,
        "classificationCode": "H6", "totalRecords": 3, "datasetChecksum": -12345, "isOriginalClassification": True,
        "firstReleased": "2023-04-01T08:00:00", "lastReleased": "2023-05-01T08:00:00",
    } | changes  # fmt: skip


def json_answer(body: bytes = b"", status: int = 200) -> httpx.Response:
    """An answer in JSON, an empty list unless told."""
    headers = {"content-type": "application/json; charset=utf-8"}
    return httpx.Response(status, content=body or answer_body(), headers=headers)


def refusal(status: int, message: str, **headers: str) -> httpx.Response:
    """A refusal as the gateway of the API words it."""
    content = json.dumps({"statusCode": status, "message": message}).encode()
    return httpx.Response(status, content=content, headers={"content-type": "application/json", **headers})


def version(reporter: str, period: str, row_count: int = 10, edition: str = "H6", checksum: str = "1") -> Version:
    """One version of a data set; a period of six digits is monthly."""
    frequency = "A" if len(period) == 4 else "M"
    return Version(DataSet("C", frequency, period, reporter, edition), checksum, row_count, None, None)


def no_wait(_seconds: float) -> None:
    """Instead of waiting."""


@dataclass
class Server:
    """Plays answers in turn, the last one for ever; an exception among them is raised. Remembers what was asked."""

    answers: Sequence[httpx.Response | Exception]
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one call."""
        self.asked.append(request)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def client_for(
    server: Callable[[httpx.Request], httpx.Response],
    book_file: Path,
    limits: Limits = FAST,
    key: str | None = KEY,
    sleep: Callable[[float], None] = no_wait,
) -> Client:
    """A client that this server answers; it does not really wait."""
    book = CallBook(book_file, limits, key_name_of(key), sleep=no_wait)
    return Client(book, limits, key, transport=httpx.MockTransport(server), sleep=sleep)
