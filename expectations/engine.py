"""Great Expectations as the judge: turns checks into expectations, validates batches, returns verdicts.

Belongs here: everything that knows Great Expectations. It is imported only when a suite runs (the import
takes seconds), with its analytics switched off, in an ephemeral context that writes no file and opens no
connection. Does not belong here: what is checked (`suites`) and how a verdict is told (`runner`).
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from expectations.model import Check, GateError, Threshold

# Figures are kept to this many decimals: what lies below is the noise of adding doubles, not a finding.
FIGURE_DECIMALS = 12


@dataclass(frozen=True)
class Verdict:
    """What Great Expectations said: passed or not, and the figure it observed (None: nothing to observe)."""

    passed: bool
    figure: float | None


def judge(
    batches: Mapping[str, Any], checks: Iterable[Check], thresholds: Mapping[str, Threshold]
) -> dict[str, Verdict]:
    """Verdict by check name. `batches` are pandas frames by batch name.

    Raises GateError when an expectation could not be evaluated: an unevaluated check must never count as
    passed.
    """
    gx = great_expectations_library()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_pandas(name="gate")
    whole = source.add_dataframe_asset(name="batches").add_batch_definition_whole_dataframe("whole")
    by_batch: dict[str, list[Check]] = {}
    for check in checks:
        by_batch.setdefault(check.batch, []).append(check)
    verdicts: dict[str, Verdict] = {}
    for batch_name, members in by_batch.items():
        batch = whole.get_batch(batch_parameters={"dataframe": batches[batch_name]})
        expectations = [expectation_of(gx, check, thresholds[check.name]) for check in members]
        result = batch.validate(gx.ExpectationSuite(name=batch_name, expectations=expectations))
        for one in result.results:
            name = str(one.expectation_config.meta["check_name"])
            verdicts[name] = _verdict(name, one)
    return verdicts


def expectation_of(gx: Any, check: Check, threshold: Threshold) -> Any:
    """The Great Expectations expectation of a check; its notes carry the reason."""
    meta = {"check_name": check.name, "severity": threshold.severity, "evidence": threshold.evidence}
    common = {"meta": meta, "notes": threshold.why_it_matters}
    kinds = gx.expectations
    if check.judgement == "at_most":
        return kinds.ExpectColumnSumToBeBetween(column=check.column, max_value=threshold.threshold, **common)
    if check.judgement == "at_least":
        return kinds.ExpectColumnMinToBeBetween(column=check.column, min_value=threshold.threshold, **common)
    return kinds.ExpectColumnPairValuesToBeEqual(column_A=check.column, column_B=check.other_column, **common)


def great_expectations_library() -> Any:
    """Great Expectations, imported at the first call (seconds), with its analytics off and its log kept to errors."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    import great_expectations  # the import takes seconds, and the switch above must be set before it

    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    return great_expectations


def _verdict(name: str, result: Any) -> Verdict:
    info = result.exception_info
    raised = info.get("raised_exception", True) if "raised_exception" in info else bool(info)
    if raised:
        texts = [part.get("exception_message", "") for part in info.values() if isinstance(part, dict)]
        raise GateError(
            f"The check {name} could not be evaluated: {' '.join(texts) or info}. A check that was not made "
            "must not "
            "pass. Mend the batch it reads (expectations/suites)."
        )
    observed = result.result.get("observed_value", result.result.get("unexpected_count"))
    figure = None if observed is None else float(observed)
    if figure is None or not math.isfinite(figure):
        return Verdict(passed=False, figure=None)
    return Verdict(passed=bool(result.success), figure=round(figure, FIGURE_DECIMALS))
