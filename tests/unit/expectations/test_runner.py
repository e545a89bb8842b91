"""The runner: comparisons with earlier releases, damaged inputs, the results as a table, what is imported."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from expectations import (
    SUITES,
    CheckResult,
    GateError,
    GateInputs,
    required_checks,
    run_suite,
    to_frame,
    write_results,
)
from expectations.thresholds import load_thresholds
from tests.unit.expectations.defects import cut_off_an_answer, put, quarantine, refuse_a_file
from tests.unit.expectations.files import write_release, write_world
from tests.unit.expectations.frames import make_world

COMPARED = {
    "landed_declarations": (
        "no_reporter_of_the_last_release_is_missing",
        "row_counts_per_reporter_year_match_the_baseline",
    ),
    "marts": (
        "release_to_release_drift_is_small",
        "reporter_biases_hold_since_the_last_release",
        "mirror_flows_of_the_last_release_are_still_there",
    ),
}


@pytest.fixture
def sound(tmp_path: Path) -> GateInputs:
    """A sound run without an earlier release."""
    return write_world(make_world(), tmp_path / "data")


def results_by_name(suite: str, inputs: GateInputs) -> dict[str, CheckResult]:
    """Results of one suite by check name."""
    return {one.check_name: one for one in run_suite(suite, inputs)}


@pytest.mark.parametrize("suite", sorted(COMPARED))
def test_comparison_passes_without_figure_when_there_is_no_earlier_release(suite: str, sound: GateInputs) -> None:
    results = results_by_name(suite, sound)
    for name in COMPARED[suite]:
        assert results[name].passed
        assert results[name].figure is None
        assert "no earlier release" in results[name].message


@pytest.mark.parametrize("suite", sorted(COMPARED))
def test_comparison_passes_without_figure_when_the_earlier_release_is_of_another_source(
    suite: str, sound: GateInputs, tmp_path: Path
) -> None:
    other = write_release(make_world(), tmp_path / "r0", source="sample")
    results = results_by_name(suite, dataclasses.replace(sound, last_release_dir=other))
    for name in COMPARED[suite]:
        assert results[name].passed
        assert results[name].figure is None
        assert "another source (sample)" in results[name].message


def test_drift_is_not_judged_when_the_method_changed(sound: GateInputs, tmp_path: Path) -> None:
    earlier = make_world()
    put("mirror_flows", "method_version", "0")(earlier)
    put("mirror_flows", "method_version", "0")(earlier)
    last = write_release(earlier, tmp_path / "r0")
    result = results_by_name("marts", dataclasses.replace(sound, last_release_dir=last))[
        "release_to_release_drift_is_small"
    ]
    assert result.passed
    assert result.figure is None
    assert "the method changed" in result.message


def test_suite_raises_when_the_manifest_of_the_last_release_is_damaged(sound: GateInputs, tmp_path: Path) -> None:
    last = write_release(make_world(), tmp_path / "r0")
    (last / "datapackage.json").write_text("{", encoding="utf-8")
    with pytest.raises(GateError, match=r"cannot be read.*Roll back"):
        run_suite("landed_declarations", dataclasses.replace(sound, last_release_dir=last))


def test_suite_raises_when_a_named_check_is_unknown(sound: GateInputs) -> None:
    with pytest.raises(GateError, match="has no check valeus_are_in_range"):
        run_suite("landed_declarations", sound, only={"valeus_are_in_range"})


def test_suite_raises_when_its_name_is_unknown(sound: GateInputs) -> None:
    with pytest.raises(GateError, match="There is no suite 'landed'"):
        run_suite("landed", sound)


def test_suite_raises_when_a_reference_table_is_absent(sound: GateInputs) -> None:
    (sound.seeds_dir / "places.csv").unlink()
    with pytest.raises(GateError, match=r"places\.csv cannot be read"):
        run_suite("landed_declarations", sound)


def test_table_is_called_absent_when_a_parquet_file_is_cut_short(sound: GateInputs) -> None:
    victim = sound.contracted_dir / "declarations" / "A-2020.parquet"
    victim.write_bytes(victim.read_bytes()[:200])
    result = results_by_name("landed_declarations", sound)["contracted_tables_are_present"]
    assert not result.passed
    assert "declarations" in result.failing_sample


def test_type_check_names_the_file_when_one_of_many_differs(sound: GateInputs) -> None:
    odd = sound.contracted_dir / "declarations" / "A-2021.parquet"
    table = pq.read_table(odd)
    column = table.schema.get_field_index("source_line")
    pq.write_table(table.set_column(column, "source_line", table["source_line"].cast(pa.int32())), odd)
    result = results_by_name("landed_declarations", sound)["declaration_columns_and_types_match_the_contract"]
    assert not result.passed
    assert "A-2021.parquet" in result.failing_sample


def test_tolerated_rows_are_counted_and_sampled_when_the_check_passes(sound: GateInputs) -> None:
    result = results_by_name("landed_declarations", sound)["share_of_value_quarantined_is_small"]
    assert result.passed
    assert result.failing_count == 1
    assert "unknown_place" in result.failing_sample


LISTS = {"sources_are_read": "refusals_file", "answers_are_whole": "doubts_file"}


def test_lists_of_the_landing_count_nothing_when_the_source_has_none(sound: GateInputs) -> None:
    without = dataclasses.replace(sound, source="sample", refusals_file=None, doubts_file=None)
    results = run_suite("landed_declarations", without, only=LISTS)
    assert [(one.passed, one.figure, one.failing_count) for one in results] == [(True, 0.0, 0)] * 2


@pytest.mark.parametrize("check_name", sorted(LISTS))
@pytest.mark.parametrize("text", [None, "", "{", '{"source_file": "a"}', '[{"source_file": "a"}'])
def test_a_list_of_the_landing_is_a_finding_itself_when_it_cannot_be_read(
    sound: GateInputs, check_name: str, text: str | None
) -> None:
    path = getattr(sound, LISTS[check_name])
    path.unlink() if text is None else path.write_text(text, encoding="utf-8")
    (result,) = run_suite("landed_declarations", sound, only={check_name})
    assert (result.passed, result.severity, result.figure) == (False, "warning", 1.0)
    (row,) = json.loads(result.failing_sample)
    assert row["source_file"] == path.name
    assert "run the landing again" in row["what"]


def test_what_was_not_read_is_named_with_its_reason_when_a_file_is_refused(tmp_path: Path) -> None:
    world = make_world()
    refuse_a_file(world)
    cut_off_an_answer(world)
    world.doubts.append(world.doubts[0] | {"source_file": "C-A-2020-398-H5-8", "stated_row_count": 90_000})
    inputs = write_world(world, tmp_path, with_marts=False)
    results = {one.check_name: one for one in run_suite("landed_declarations", inputs, only=LISTS)}
    assert json.loads(results["sources_are_read"].failing_sample) == [
        {"source_file": "letter.txt", "what": "it is no table", "how_to_mend": "save it"}
    ]
    assert results["answers_are_whole"].figure == 2
    widest, other = json.loads(results["answers_are_whole"].failing_sample)
    assert (widest["source_file"], widest["stated_row_count"]) == ("C-A-2020-398-H5-8", 90_000)
    assert other["what"] == "cut off: 500 of 9000 rows, as the preview gives no more"


def test_sample_holds_twenty_rows_in_order_when_many_fail(tmp_path: Path) -> None:
    world = make_world()
    quarantine(pl.lit(True))(world)
    result = results_by_name("landed_declarations", write_world(world, tmp_path))["share_of_rows_quarantined_is_small"]
    assert result.failing_count == world.tables["declarations"].height
    assert result.failing_sample.count("declaration_id") == 20


def test_table_of_results_has_the_promised_columns_when_written(sound: GateInputs, tmp_path: Path) -> None:
    results = [one for suite in SUITES for one in run_suite(suite, sound)]
    path = tmp_path / "audit" / "results.parquet"
    write_results(results, path)
    schema = pq.read_schema(path)
    assert [(field.name, str(field.type)) for field in schema] == [
        ("suite", "string"),
        ("check_name", "string"),
        ("severity", "string"),
        ("passed", "bool"),
        ("figure", "double"),
        ("threshold", "double"),
        ("threshold_text", "string"),
        ("evidence", "string"),
        ("threshold_date", "date32[day]"),
        ("failing_count", "int64"),
        ("failing_sample", "string"),
        ("message", "string"),
    ]
    assert pq.read_table(path).equals(to_frame(reversed(results)))
    assert [path.name for path in path.parent.iterdir()] == ["results.parquet"]


def test_results_are_equal_when_the_suites_run_twice(sound: GateInputs) -> None:
    for suite in SUITES:
        assert run_suite(suite, sound) == run_suite(suite, sound)


def test_required_checks_are_those_of_severity_error() -> None:
    required = set(required_checks())
    for (suite, name), threshold in load_thresholds().items():
        assert (f"{suite}.{name}" in required) == (threshold.severity == "error")


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("s,c,fatal,0,rows,e,2026-01-01,w,y,h", "severity is 'fatal'"),
        ("s,c,error,none,rows,e,2026-01-01,w,y,h", "could not convert"),
        ("s,c,error,inf,rows,e,2026-01-01,w,y,h", "would let everything pass"),
        ("s,c,error,0,rows,,2026-01-01,w,y,h", "empty or surplus"),
        ("s,c,error,0,rows,e,yesterday,w,y,h", "yesterday"),
        ("s,c,error,0,rows,e,2026-01-01,w,y,h\ns,c,error,0,rows,e,2026-01-01,w,y,h", "stands twice"),
    ],
)
def test_thresholds_are_refused_when_a_line_is_unusable(line: str, complaint: str, tmp_path: Path) -> None:
    header = "suite,check_name,severity,threshold,unit,evidence,threshold_date,what_is_wrong,why_it_matters,how_to_mend"
    path = tmp_path / "thresholds.csv"
    path.write_text(f"{header}\n{line}\n", encoding="utf-8")
    with pytest.raises(GateError, match=complaint):
        load_thresholds(path)


def test_great_expectations_stays_unloaded_when_the_package_is_imported() -> None:
    code = (
        "import sys, expectations; loaded = set(sys.modules) & "
        "{'great_expectations', 'dagster', 'orchestration'}; "
        "sys.exit(', '.join(sorted(loaded)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_suite_opens_no_connection_and_writes_no_file_when_it_runs(sound: GateInputs, tmp_path: Path) -> None:
    code = (
        "import os, socket, sys\n"
        "from pathlib import Path\n"
        "def refuse(*a, **k): raise SystemExit('a connection was tried')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from expectations import GateInputs, run_suite\n"
        f"root = Path({str(sound.seeds_dir.parent)!r})\n"
        "run_suite('reconciled_flows', GateInputs(root/'contracted', root/'reconciled', root/'seeds'))\n"
        "sys.exit(0 if os.environ['GX_ANALYTICS_ENABLED'] == 'false' else 'analytics are on')\n"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[3]), "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert list(home.rglob("*")) == []


@pytest.mark.parametrize(
    ("cif_source", "rate", "holds"),
    [("modelled", 0.30, True), ("modelled", 0.31, False), ("observed", 0.31, True), ("observed", 1.01, False),
     ("reported", 0.0, True), ("reported", 0.01, False)],
)  # fmt: skip
def test_rate_is_bounded_by_where_it_comes_from_when_flows_are_judged(
    cif_source: str, rate: float, holds: bool, tmp_path: Path
) -> None:
    world = make_world()
    flows = world.tables["mirror_flows"]
    world.tables["mirror_flows"] = flows.with_columns(cif_source=pl.lit(cif_source), cif_rate_ratio=pl.lit(rate))
    inputs = write_world(world, tmp_path, with_marts=False)
    results = run_suite("reconciled_flows", inputs, only={"cif_rates_are_within_their_bounds"})
    assert [result.passed for result in results] == [holds]
