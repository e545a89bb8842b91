"""Asking a stand-in without a server: one call as the application hands it over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from orchestration.stand_in.answers import Answer
from orchestration.stand_in.stand_in import Asked, StandIn

ADDRESS = "http://stand-in"
KEY = "key-of-the-tests"
Get = Callable[..., httpx.Response]


def ask(stand_in: StandIn, path: str, key: str | None = KEY, **parameters: object) -> Answer:
    """The answer to one call."""
    given = {name.lower(): str(value) for name, value in parameters.items()}
    return stand_in.answer(Asked(ADDRESS, path, given, key, address_length=len(path)))


def said(answer: Answer) -> dict[str, Any]:
    """The JSON of an answer."""
    read = json.loads(answer.body)
    assert isinstance(read, dict)
    return read


def rows_of(stand_in: StandIn, path: str, **parameters: object) -> list[dict[str, Any]]:
    """The data rows of one call that goes well."""
    answer = ask(stand_in, path, **parameters)
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = said(answer)["data"]
    return found
