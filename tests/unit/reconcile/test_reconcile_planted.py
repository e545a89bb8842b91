"""The whole reconciliation against a truth that is known: the planted world, years only.

Belongs here: bars of accuracy and honest intervals, and what evasion may not touch. Does not belong here: single rules.
The bars are those of a first version; `bench.accuracy_first` prints the figures, docs/methodology.md states them.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from bench.accuracy_first import (
    Judged,
    accuracy_of_flows,
    accuracy_of_margins,
    accuracy_of_reliability,
    accuracy_of_weights,
    judge_world,
)
from orchestration.sample import WorldConfig


@pytest.fixture(scope="module")
def judged() -> Judged:
    return judge_world(replace(WorldConfig.standard(), frequencies=("A",)))


@pytest.fixture(scope="module")
def two_sided(judged: Judged) -> dict[str, float]:
    return accuracy_of_flows(judged).filter(pl.col("status") == "two_sided").row(0, named=True)


def test_the_estimate_is_near_the_truth_and_beats_the_plain_mean_when_two_sided(two_sided: dict[str, float]) -> None:
    assert two_sided["flow_count"] > 15_000
    assert two_sided["median_error_log"] < 0.075
    assert two_sided["median_error_log"] < 0.75 * two_sided["geometric_error_log"]


def test_the_total_is_unbiased_when_two_sided(two_sided: dict[str, float]) -> None:
    assert abs(two_sided["total_bias_ratio"]) < 0.02
    assert abs(two_sided["median_bias_log"]) < 0.015


def test_intervals_are_honest_when_two_sided(two_sided: dict[str, float]) -> None:
    assert 0.85 < two_sided["coverage_90_ratio"] < 0.95
    assert 0.45 < two_sided["coverage_50_ratio"] < 0.62


@pytest.mark.parametrize("side", ["exporter", "importer"])
def test_intervals_are_honest_when_only_one_side_could_report(judged: Judged, side: str) -> None:
    own = pl.col("status") == f"{side}_only_partner_nonreporting"
    row = accuracy_of_flows(judged).filter(own).row(0, named=True)
    assert 0.82 < row["coverage_90_ratio"] < 0.97
    assert 0.42 < row["coverage_50_ratio"] < 0.65


def test_the_weight_is_near_the_truth_and_its_interval_honest_when_both_sides_report_it(judged: Judged) -> None:
    row = accuracy_of_weights(judged).filter(pl.col("weights") == "both").row(0, named=True)
    assert row["flow_count"] > 10_000
    assert row["median_error_log"] < 0.06
    assert row["median_error_log"] < 0.75 * row["geometric_error_log"]
    assert abs(row["total_bias_ratio"]) < 0.03
    assert 0.85 < row["coverage_90"] < 0.95
    assert 0.45 < row["coverage_50"] < 0.62


@pytest.mark.parametrize("side", ["exporter", "importer"])
def test_the_interval_of_a_weight_is_honest_when_only_one_side_reports_it(judged: Judged, side: str) -> None:
    row = accuracy_of_weights(judged).filter(pl.col("weights") == side).row(0, named=True)
    assert 0.82 < row["coverage_90"] < 0.97
    assert 0.42 < row["coverage_50"] < 0.65


def test_one_sided_intervals_are_wider_than_two_sided_ones_when_both_occur(judged: Judged) -> None:
    width = judged.flows.filter(pl.col("sd_log").is_not_null()).group_by("status").agg(pl.col("sd_log").median())
    by_status = dict(width.rows())
    assert by_status.pop("two_sided") < min(by_status.values())


def test_bad_reporters_are_told_from_good_ones_when_judged_by_role(judged: Judged) -> None:
    for row in accuracy_of_reliability(judged).iter_rows(named=True):
        assert row["sigma_rank_correlation"] > 0.8, row
        assert row["bias_correlation"] > 0.65, row
        assert row["bias_coverage_90_ratio"] > 0.8, row
        assert row["sigma_coverage_90_ratio"] > 0.65, row


def test_margins_are_right_on_average_when_observed_or_modelled(judged: Judged) -> None:
    for row in accuracy_of_margins(judged).iter_rows(named=True):
        assert row["used_log"] == pytest.approx(row["true_log"], abs=0.01), row
        assert row["off_log"] < 0.015, row


def test_every_status_occurs_when_reporters_are_silent_late_and_absent(judged: Judged) -> None:
    assert judged.flows["status"].n_unique() == 5


def test_russia_is_never_called_silent_when_it_stopped_reporting(judged: Judged) -> None:
    after = judged.flows.filter((pl.col("period") >= "2022") & (pl.col("importer_code") == "643"))
    assert set(after["status"]) == {"exporter_only_partner_nonreporting"}
    before = judged.flows.filter((pl.col("period") < "2022") & (pl.col("importer_code") == "643"))
    assert "two_sided" in before["status"].to_list()


def test_no_reporter_looks_worse_when_evasion_runs_through_it() -> None:
    """The leave-out rule: evasion must not make a country unreliable and hide itself behind it."""
    years = replace(WorldConfig.tiny(), frequencies=("A",), start_year=2021)
    innocent = replace(years, evasion=WorldConfig.without_evasion().evasion)
    with_evasion, without = (judge_world(config) for config in (years, innocent))
    assert not with_evasion.flows.equals(without.flows)
    assert with_evasion.reliability.equals(without.reliability)
