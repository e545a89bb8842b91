"""Row counts, value totals, pictures and small tables on what was materialised.

Belongs here: turning stage summaries, the ledger and releases into metadata. Does not belong here: computing them,
drawing (`orchestration.figures`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg
import polars as pl

from expectations.model import CheckResult
from orchestration.comtrade.ledger import LedgerEntry
from orchestration.defs.resources import Warehouse
from orchestration.figures import Panel, as_markdown, draw
from orchestration.pipeline.declarations import PeriodSummary
from orchestration.release.published import PublishedRelease
from orchestration.sums import exact_sum

FREQUENCIES = {"A": "Annual", "M": "Monthly"}
GRADES = ("A", "B", "C", "D")
RELEASES_SHOWN = 12


def period_metadata(
    context: dg.AssetExecutionContext, key: dg.AssetKey, summaries: Sequence[PeriodSummary]
) -> dict[str, int | float]:
    """Totals over all periods of this step; each period's own figures are attached to its partition."""
    for summary in summaries:
        context.add_asset_metadata(
            {
                "dagster/partition_row_count": summary.row_count,
                "partition_value_usd": summary.value_usd,
                "partition_was_unchanged": summary.was_current,
            },
            asset_key=key,
            partition_key=summary.period_key,
        )
    return {
        "dagster/row_count": sum(s.row_count for s in summaries),
        "value_usd": sum(s.value_usd for s in summaries),
        "periods": len(summaries),
        "unchanged_periods": sum(s.was_current for s in summaries),
    }


def landed_by_period(entries: Sequence[LedgerEntry]) -> dg.MarkdownMetadataValue:
    """Rows and value of landed deliveries by the period they are of."""
    rows: defaultdict[str, int] = defaultdict(int)
    value: defaultdict[str, float] = defaultdict(float)
    for file in (file for entry in entries for file in entry.files):
        rows[file.period_key] += file.row_count
        value[file.period_key] += file.value_usd
    return by_period({"rows": rows, "USD": value})


def by_period(measures: Mapping[str, Mapping[str, float]], top: float | None = None) -> dg.MarkdownMetadataValue:
    """Bars by period, years and months apart: unit -> period key -> value. `top` is the value at full height."""
    panels = []
    for letter, frequency in FREQUENCIES.items():
        for unit, values in measures.items():
            bars = [(key[2:], values[key]) for key in sorted(values) if key.startswith(f"{letter}-")]
            if bars:
                panels.append(Panel(f"{frequency} periods: {unit}", bars, top))
    return dg.MetadataValue.md(as_markdown(draw(panels), " and ".join(measures) + " by period"))


def look_at_contracted(warehouse: Warehouse) -> dict[str, dg.MetadataValue]:
    """Rows and value of sets by period, and the share of sets (reporter and flow) that are complete."""
    rows, value, complete = {}, {}, {}
    wanted = ("declaration_count", "pair_value_usd", "is_complete")
    for key in warehouse.plan.period_keys:
        sets = pl.read_parquet(warehouse.paths.table("contracted", "coverage", key), columns=list(wanted))
        rows[key], value[key] = sets.select(pl.col(wanted[0]).sum(), exact_sum(wanted[1])).row(0)
        complete[key] = sets.filter("is_complete").height / max(sets.height, 1)
    return {
        "by_period": by_period({"declarations": rows, "value of pairs, USD": value}),
        "complete_by_period": by_period({"share of sets (reporter, flow) that are complete": complete}, top=1.0),
    }


def look_at_flows(warehouse: Warehouse) -> dict[str, dg.MetadataValue]:
    """Number and reconciled value of flows by period."""
    rows, value = {}, {}
    for key in warehouse.plan.period_keys:
        flows = pl.scan_parquet(warehouse.paths.table("reconciled", "mirror_flows", key))
        rows[key], value[key] = flows.select(pl.len(), exact_sum("reconciled_mean_fob_usd")).collect().row(0)
    return {"by_period": by_period({"flows": rows, "reconciled value, FOB USD": value})}


def leads_by_grade(releases: Sequence[PublishedRelease]) -> dict[str, dg.MetadataValue]:
    """Leads by grade of the newest releases, in the order of publication, as a picture and as a table.

    A release made before there were leads has none and is left out.
    """
    counts: list[tuple[str, Mapping[str, int]]] = []
    for release in releases[-RELEASES_SHOWN:]:
        file = release.path / "parquet" / "mart_passage_lead.parquet"
        if file.is_file():
            counts.append((release.release_id, _grades_in(file)))
    panels = [Panel(f"Leads of grade {g}", [(name[-6:], found[g]) for name, found in counts]) for g in GRADES]
    records = [dg.TableRecord({"release_id": name, **{g: found[g] for g in GRADES}}) for name, found in counts]
    columns = [dg.TableColumn("release_id", "string"), *(dg.TableColumn(g, "int") for g in GRADES)]
    return {
        "leads_by_grade": dg.MetadataValue.table(records, dg.TableSchema(columns)),
        "leads_over_releases": dg.MetadataValue.md(as_markdown(draw(panels), "leads by grade over releases")),
    }


def _grades_in(file: Path) -> Counter[str]:
    return Counter(pl.read_parquet(file, columns=["grade"])["grade"].to_list())


def gate_figures(results: Sequence[CheckResult]) -> dg.MetadataValue:
    """Every check of the gate's suites with its figure, its limit and its verdict; refusals and warnings first."""
    gate = [r for r in results if r.suite != "dbt_tests"]
    ordered = sorted(gate, key=lambda r: (r.passed, r.severity, r.suite, r.check_name))
    names = ("verdict", "figure", "check", "limit", "suite")
    columns = [dg.TableColumn(name, "float" if name == "figure" else "string") for name in names]
    records = [
        dg.TableRecord(dict(zip(names, (verdict(r), r.figure, r.check_name, r.threshold_text, r.suite), strict=True)))
        for r in ordered
    ]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def verdict(result: CheckResult) -> str:
    """One word on a check: holds, warns or refuses."""
    if result.passed:
        return "holds"
    return "warns" if result.severity == "warning" else "refuses"
