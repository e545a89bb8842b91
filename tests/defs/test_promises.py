"""Freshness, retries, tags, priorities and what the page is given to show."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import polars as pl
import pytest

from expectations.model import CheckResult
from orchestration.comtrade.ledger import LandedFile, LedgerEntry
from orchestration.defs import metadata
from orchestration.defs.build import build_definitions
from orchestration.defs.declarations import assets as declarations
from orchestration.defs.partitions import PERIODS
from orchestration.defs.promises import LATE_AFTER, STALE_AFTER, longest_wait, release_freshness, run_tags
from orchestration.pipeline.dbt import ensure_manifest
from orchestration.pipeline.plan import PlanError, RunPlan
from orchestration.reconcile import METHOD_VERSION
from orchestration.release.published import PublishedRelease
from orchestration.settings import Settings

CHECK = CheckResult("marts", "rows_are_kept", "error", True, 0.0, 1.0, "at most 1", "", "2026-11-24", 0, "[]", "Holds.")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The graph with a schedule of its own."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"), schedule_cron="0 6 * * 1")
    return build_definitions(settings, ensure_manifest(settings.dbt_dir))


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> dg.AssetGraph:
    return definitions.resolve_asset_graph()


@pytest.mark.parametrize(
    ("cron", "days"),
    [("0 6 8 * *", 31), ("0 6 * * 1", 7), ("0 6 8 */3 *", 92), ("0 6 1 1 *", 366), ("0 6 29 2 *", 1827)],
)
def test_the_longest_wait_is_that_of_the_cron_line(cron: str, days: int) -> None:
    assert longest_wait(cron) == timedelta(days=days)


def test_what_analysts_see_and_nothing_else_must_be_fresh_when_the_graph_is_built(graph: dg.AssetGraph) -> None:
    policy = release_freshness(Settings(schedule_cron="0 6 * * 1"))
    assert isinstance(policy, dg.FreshnessPolicy)
    assert policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(days=7) + STALE_AFTER, warn_window=timedelta(days=7) + LATE_AFTER
    )
    for key in graph.materializable_asset_keys:
        is_public = key.path[0] == "marts" or key == dg.AssetKey(["release", "published"])
        assert graph.get(key).freshness_policy == (policy if is_public else None), key


def test_only_reading_of_what_others_write_is_tried_again_when_it_fails(graph: dg.AssetGraph) -> None:
    tried = {
        key.to_user_string()
        for definition in graph.assets_defs
        for key in definition.keys
        if definition.is_executable and definition.op.retry_policy is not None  # type: ignore[union-attr]
    }
    assert tried == {"declarations/landed"}
    policy = declarations.landed_declarations.op.retry_policy
    assert policy is not None
    assert (policy.backoff, policy.jitter) == (dg.Backoff.EXPONENTIAL, dg.Jitter.PLUS_MINUS)


def test_landing_is_not_tried_again_when_the_input_is_refused() -> None:
    def refuse() -> None:
        raise PlanError("the folder is gone; nothing to reconcile; name another")

    with pytest.raises(dg.Failure, match="the folder is gone") as refusal:
        declarations.landed_declarations(SimpleNamespace(require_unchanged_input=refuse))
    assert refusal.value.allow_retries is False


def test_landing_may_be_tried_again_when_a_file_cannot_be_read_now(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise OSError("the share is away")

    monkeypatch.setattr(declarations, "land", lost)
    warehouse = SimpleNamespace(
        require_unchanged_input=lambda: None, settings=None, paths=None, reference=None,
        plan=SimpleNamespace(input_fingerprint="f"),
    )  # fmt: skip
    with pytest.raises(OSError, match="the share is away"):
        declarations.landed_declarations(warehouse)


def test_a_run_can_be_found_by_source_run_and_method_when_it_is_tagged() -> None:
    tags = run_tags(RunPlan("files", "f", "run-f", ("A-2019", "A-2020")))
    assert (tags["mirror/source"], tags["mirror/run_id"]) == ("files", "run-f")
    assert tags["mirror/method_version"] == METHOD_VERSION


def test_the_job_has_periods_and_is_repeated_whole_when_its_process_dies(definitions: dg.Definitions) -> None:
    job = definitions.resolve_job_def("refresh")
    assert job.partitions_def == PERIODS
    assert job.run_tags["dagster/retry_strategy"] == "ALL_STEPS"
    assert job.description


def test_nothing_is_automated_but_the_whole_job_with_every_check(
    definitions: dg.Definitions, graph: dg.AssetGraph
) -> None:
    # A blocking check holds back what follows in its own run only: a part started by itself would pass it by.
    for key in graph.materializable_asset_keys:
        assert graph.get(key).automation_condition is None, key
    job = definitions.resolve_job_def("refresh")
    assert set(job.asset_layer.selected_asset_keys) == set(graph.materializable_asset_keys)
    assert set(job.asset_layer.asset_graph.asset_check_keys) == set(graph.asset_check_keys)


def test_everything_the_page_lists_is_described_when_it_is_opened(
    definitions: dg.Definitions, graph: dg.AssetGraph
) -> None:
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.kinds, key
        assert node.owners, key
        assert (node.description or "").strip(), key
    for check in graph.asset_check_keys:
        assert (graph.get(check).description or "").strip(), check
    repository = definitions.get_repository_def()
    assert all(s.description for s in [*repository.schedule_defs, *repository.sensor_defs])


def test_bars_of_years_and_months_stand_apart_when_deliveries_are_landed() -> None:
    files = tuple(LandedFile("p", key, 3, 2.5, "c") for key in ("A-2019", "M-202101", "M-202101"))
    entry = LedgerEntry("d", "f", "api", None, 9, 7.5, files)
    assert metadata.landed_by_period([entry]) == metadata.by_period(
        {"rows": {"A-2019": 3, "M-202101": 6}, "USD": {"A-2019": 2.5, "M-202101": 5.0}}
    )


def test_leads_are_counted_by_grade_when_a_release_has_them(tmp_path: Path) -> None:
    def release(name: str, grades: list[str] | None) -> PublishedRelease:
        folder = tmp_path / name / "parquet"
        folder.mkdir(parents=True)
        if grades is not None:
            pl.DataFrame({"grade": grades}).write_parquet(folder / "mart_passage_lead.parquet")
        return PublishedRelease(name, folder.parent, "files", "r", "f", "2", {}, 0, 0, (), False)

    said = metadata.leads_by_grade([release("r-old", None), release("r-new", ["A", "D", "D"])])
    table = said["leads_by_grade"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data for record in table.records] == [{"release_id": "r-new", "A": 1, "B": 0, "C": 0, "D": 2}]


def test_refusals_come_first_and_tests_of_models_are_left_out_when_the_gate_is_tabled() -> None:
    refused = CheckResult(**vars(CHECK) | {"check_name": "z", "passed": False})
    warned = CheckResult(**vars(CHECK) | {"check_name": "y", "passed": False, "severity": "warning"})
    of_dbt = CheckResult(**vars(CHECK) | {"suite": "dbt_tests"})
    table = metadata.gate_figures([CHECK, warned, of_dbt, refused])
    assert isinstance(table, dg.TableMetadataValue)
    assert [record.data["verdict"] for record in table.records] == ["refuses", "warns", "holds"]
