"""Faults by script: which call goes wrong, and how.

Belongs here: the kinds of fault, scripts and seeded mixtures of them, and what each does to rows or to an answer.
Does not belong here: refusals that a key earns by itself (`keys`).

Calls are numbered from 1 as they arrive, counting only those of the endpoints that the script is limited to.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args

import polars as pl

from orchestration.stand_in.answers import (
    Answer,
    envelope,
    invalid_key,
    missing_key,
    out_of_quota,
    server_error,
    too_many_calls,
)

Kind = Literal[
    "missing_key",
    "invalid_key",
    "out_of_quota",
    "too_many_calls",
    "server_error",
    "held",
    "dropped",
    "cut_short",
    "web_page",
    "duplicate_rows",
    "capped",
    "new_column",
    "renamed_column",
    "mistyped_cell",
    "empty",
    "revised",
    "reordered",
    "wrong_count",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
# These heal when the question is asked again.
PASSING: tuple[Kind, ...] = (
    "too_many_calls", "server_error", "held", "dropped", "cut_short", "web_page", "empty", "wrong_count",
    "duplicate_rows", "reordered",
)  # fmt: skip
DATA_ENDPOINT = "data/v1/get"
RENAMED = {"primaryValue": "tradeValue"}
_WEB_PAGE = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Be back soon.</body></html>"


class FaultError(ValueError):
    """A script of faults cannot be used; the text says what is wrong, why it matters and how to mend it."""


@dataclass(frozen=True)
class Fault:
    """One fault. `seconds`: of a refusal (429, 403) or for which an answer is held; `status`: of a server_error;
    `rows`: left by capped, given twice by duplicate_rows, added to the count by wrong_count; `column`: renamed or
    mistyped (answers without it are left as they are); `factor`: by which values of a revised data set grow.
    """

    kind: Kind
    seconds: float = 1.0
    status: int = 503
    rows: int = 1
    column: str = "primaryValue"
    factor: float = 1.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultError(
                f"{self.kind!r} is no kind of fault, so nothing would go wrong; name one of {', '.join(KINDS)}"
            )


@dataclass(frozen=True)
class Faults:
    """Which call meets which fault: a script by call number, or a mixture drawn with a seed; on some endpoints."""

    script: Mapping[int, Fault] = field(default_factory=dict)
    endpoints: tuple[str, ...] = (DATA_ENDPOINT,)
    seed: int = 0
    share: float = 0.0
    kinds: tuple[Kind, ...] = ()
    like: Fault = field(default_factory=lambda: Fault("held"))

    @classmethod
    def scripted(cls, script: Mapping[int, Fault], endpoints: Collection[str] = (DATA_ENDPOINT,)) -> Self:
        """The call with this number (from 1) meets this fault; the others none."""
        return cls(script=dict(script), endpoints=_endpoints(endpoints))

    @classmethod
    def mixed(
        cls,
        seed: int,
        share: float,
        kinds: Collection[Kind] = PASSING,
        endpoints: Collection[str] = (DATA_ENDPOINT,),
        like: Fault | None = None,
    ) -> Self:
        """About `share` of the calls meet one of the kinds, the same ones for the same seed; `like` gives seconds,
        rows and so on. Raises FaultError when the share is not within 0 and 1 or there is no kind.
        """
        if not 0.0 <= share <= 1.0 or not kinds:
            raise FaultError(
                f"a share of {share} of {len(kinds)} kinds cannot be drawn; give a share within 0 and 1 and a kind"
            )
        pattern = like or Fault("held")
        for kind in kinds:
            replace(pattern, kind=kind)
        return cls(endpoints=_endpoints(endpoints), seed=seed, share=share, kinds=tuple(kinds), like=pattern)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """Read {"script": {"3": {"kind": "held", "seconds": 2}}} or {"mixed": {"seed": 7, "share": 0.2, "kinds":
        [...]}}, each with "endpoints" if wanted. Raises FaultError when it is neither.
        """
        try:
            limits = {"endpoints": said["endpoints"]} if "endpoints" in said else {}
            if "mixed" in said:
                wanted = dict(said["mixed"])
                like = Fault(**{"kind": "held", **wanted.pop("like", {})})
                return cls.mixed(**wanted, **limits, like=like)
            return cls.scripted({int(number): Fault(**fault) for number, fault in said["script"].items()}, **limits)
        except (KeyError, TypeError, AttributeError) as error:
            raise FaultError(
                f"the faults cannot be read ({type(error).__name__}: {error}); none would be played; give an object "
                'with "script" or "mixed" as the docstring of Faults.from_json shows'
            ) from error

    def concerns(self, endpoint: str) -> bool:
        """True when calls of this endpoint are counted and may fail."""
        return endpoint in self.endpoints

    def of_call(self, number: int) -> Fault | None:
        """The fault of the call with this number, None when it goes well."""
        if number in self.script:
            return self.script[number]
        draw = random.Random(f"{self.seed}:{number}")
        return replace(self.like, kind=draw.choice(self.kinds)) if draw.random() < self.share else None


def refused_by(fault: Fault) -> Answer | None:
    """The answer of a fault that lets no rows through; None for the other kinds."""
    refusals: dict[Kind, Callable[[], Answer]] = {
        "missing_key": missing_key,
        "invalid_key": invalid_key,
        "out_of_quota": lambda: out_of_quota(int(fault.seconds)),
        "too_many_calls": lambda: too_many_calls(int(fault.seconds)),
        "server_error": lambda: server_error(fault.status),
        "web_page": lambda: Answer(200, _WEB_PAGE, "text/html"),
    }
    return refusals[fault.kind]() if fault.kind in refusals else None


def with_faulty_rows(rows: pl.DataFrame, fault: Fault | None) -> Answer:
    """The answer that holds these rows, spoilt by the fault where it is one of rows or of their envelope."""
    count, kind = None, fault.kind if fault is not None else None
    if fault is not None:
        if kind == "duplicate_rows":
            rows = pl.concat([rows, rows.head(fault.rows)])
        elif kind == "capped":
            rows = rows.head(fault.rows)
        elif kind == "empty":
            rows = rows.head(0)
        elif kind == "reordered":
            rows = rows.reverse()
        elif kind == "new_column":
            rows = rows.with_columns(pl.lit("new").alias("newColumn"))
        elif kind == "renamed_column":
            rows = rows.rename({fault.column: RENAMED.get(fault.column, f"{fault.column}New")}, strict=False)
        elif kind == "wrong_count":
            count = rows.height + fault.rows
    body = envelope(rows, count)
    if fault is not None and kind == "mistyped_cell":
        pattern = rf'("{re.escape(fault.column)}":)[^,}}]+'.encode()
        body = re.sub(pattern, rb'\1"not a number"', body, count=1)
    return with_faulty_body(Answer(200, body, rows=rows.height), fault)


def with_faulty_body(answer: Answer, fault: Fault | None) -> Answer:
    """The same answer, held, dropped or cut short where the fault says so."""
    if fault is None:
        return answer
    if fault.kind == "held":
        return replace(answer, held_seconds=fault.seconds)
    if fault.kind == "dropped":
        return replace(answer, is_dropped=True)
    if fault.kind == "cut_short":
        return replace(answer, body=answer.body[: len(answer.body) // 2])
    return answer


def _endpoints(named: Collection[str]) -> tuple[str, ...]:
    return tuple(name.strip("/").lower() for name in named)
