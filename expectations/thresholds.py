"""Reads thresholds.csv: every limit of the gate as data, with its evidence and its date.

Belongs here: loading and validating the table. Does not belong here: the checks themselves (`suites`).
"""

from __future__ import annotations

import csv
import datetime
import math
from functools import cache
from pathlib import Path

from expectations.model import GateError, Judgement, Threshold

THRESHOLDS_FILE = Path(__file__).with_name("thresholds.csv")
_SEVERITIES = ("error", "warning")
_WORDS = {"at_most": "at most", "at_least": "at least", "columns_equal": "at most"}


@cache
def load_thresholds(path: Path = THRESHOLDS_FILE) -> dict[tuple[str, str], Threshold]:
    """All thresholds by (suite, check_name); raises GateError naming the line that cannot be used."""
    found: dict[tuple[str, str], Threshold] = {}
    with path.open(encoding="utf-8", newline="") as handle:
        for line, row in enumerate(csv.DictReader(handle), start=2):
            threshold = _threshold_from(row, f"{path.name}, line {line}")
            key = (threshold.suite, threshold.check_name)
            if key in found:
                raise _unusable(f"{path.name}, line {line}", f"{key} stands twice")
            found[key] = threshold
    return found


def threshold_of(suite: str, check_name: str) -> Threshold:
    """The threshold of one check; raises GateError when the table holds none."""
    try:
        return load_thresholds()[(suite, check_name)]
    except KeyError:
        raise _unusable(THRESHOLDS_FILE.name, f"no row for {suite}, {check_name}") from None


def threshold_text(threshold: Threshold, judgement: Judgement) -> str:
    """The limit in words, such as `at most 0.01 (share of value)`."""
    return f"{_WORDS[judgement]} {threshold.threshold:g} ({threshold.unit})"


def _threshold_from(row: dict[str, str], where: str) -> Threshold:
    empty = [name for name, text in row.items() if text is None or not str(text).strip()]
    if empty or None in row:
        raise _unusable(where, f"empty or surplus cells: {empty or 'surplus'}")
    if row["severity"] not in _SEVERITIES:
        raise _unusable(where, f"severity is {row['severity']!r}, not one of {_SEVERITIES}")
    try:
        number = float(row["threshold"])
        datetime.date.fromisoformat(row["threshold_date"])
    except ValueError as error:
        raise _unusable(where, str(error)) from error
    if not math.isfinite(number):
        raise _unusable(where, f"threshold {row['threshold']!r} would let everything pass")
    return Threshold(
        suite=row["suite"],
        check_name=row["check_name"],
        severity="error" if row["severity"] == "error" else "warning",
        threshold=number,
        unit=row["unit"],
        evidence=row["evidence"],
        threshold_date=row["threshold_date"],
        what_is_wrong=row["what_is_wrong"],
        why_it_matters=row["why_it_matters"],
        how_to_mend=row["how_to_mend"],
    )


def _unusable(where: str, problem: str) -> GateError:
    return GateError(
        f"The thresholds cannot be used ({where}): {problem}. Without a number, a severity and a reason a "
        "check "
        "neither stops nor explains anything. Mend the line in expectations/thresholds.csv."
    )
