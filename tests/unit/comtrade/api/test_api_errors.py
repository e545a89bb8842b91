"""Errors of the API: each says what is wrong, why it matters and how to mend it, and whether it may pass."""

from __future__ import annotations

import pytest

from orchestration.comtrade.api import errors
from orchestration.comtrade.api.errors import ApiError, BadBody, Passing, RateExceeded

PASSING = {"RateExceeded", "ServerFailing", "NoAnswer", "BadBody"}
KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ApiError)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_text_holds_all_three_parts_when_an_error_is_raised(kind: type[ApiError]) -> None:
    more: dict[type[ApiError], list[object]] = {RateExceeded: [3.0], BadBody: [b"{"]}
    error = kind("what is wrong", "why it matters", "how to mend it", *more.get(kind, []))  # type: ignore[arg-type]
    assert str(error) == "what is wrong; why it matters; how to mend it"
    assert (error.what, error.why_it_matters, error.how_to_mend) == (
        "what is wrong",
        "why it matters",
        "how to mend it",
    )


def test_only_errors_that_heal_by_themselves_are_passing_when_kinds_are_told_apart() -> None:
    assert {kind.__name__ for kind in KINDS if issubclass(kind, Passing)} == PASSING | {"Passing"}


def test_what_is_needed_later_comes_with_the_error_when_it_is_caught() -> None:
    assert RateExceeded("a", "b", "c", 7.0).seconds == 7.0
    assert RateExceeded("a", "b", "c", None).seconds is None
    assert BadBody("a", "b", "c", b"body").body == b"body"


def test_a_body_is_not_in_the_text_when_it_is_bad() -> None:
    assert "body of" not in str(BadBody("a", "b", "c", b"body of"))
