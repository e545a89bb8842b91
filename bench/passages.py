"""How well the leads find what was planted, and how still they stay: `python -m bench.passages --seeds 31-50`.

Belongs here: planted worlds with and without passages, the leads on them beside the truth, by kind, signal and grade,
and what is lost when a control or a signal is taken away. Does not belong here: any verdict; figures with their command
stand in docs/passages.md. Nothing here reads real declarations.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl

from bench.accuracy_first import SEEDS_DIR
from bench.innocent_worlds import as_seed, switched_off
from bench.passage_models import PassageModels
from bench.passage_worlds import reconciled_world
from orchestration.pipeline.passages import find_passages
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.reference import load_reference
from orchestration.sample import WorldConfig

ROUTE = ["origin_code", "transit_code", "destination_code", "family_code"]
LARGE_USD = 1e6
SIGNALS = (
    *("roundabout", "structural_break", "lost_in_transit", "decoy_swap", "new_product", "route_displacement"),
    *("unit_value", "implausible_demand", "flow_conservation", "totals_lost_in_transit"),
)


def routes_of(truth: pl.DataFrame) -> pl.DataFrame:
    """Every planted route (truth table planted_case); a case that changes its transit country has two."""
    columns = ["case_id", "kind", "value_fob_usd", "origin_code", "destination_code", "family_code"]
    second = truth.filter(pl.col("second_transit_code").is_not_null())
    return pl.concat(
        [
            truth.select(*columns, "transit_code"),
            second.select(*columns, transit_code="second_transit_code"),
        ]
    )


def leads_of(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """The table of leads of a session."""
    made = pl.from_arrow(con.sql("select * from mart_passage_lead").to_arrow_table())
    assert isinstance(made, pl.DataFrame)
    return made


def judged(leads: pl.DataFrame, truth: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """(cases, false leads): each planted case with its best grade, rank and signals; A and B leads not planted."""
    routes = routes_of(truth)
    found = routes.join(leads, on=ROUTE, how="left")
    best = found.sort("case_id", "grade", "lead_rank", nulls_last=True).group_by("case_id", maintain_order=True)
    cases = best.agg(
        pl.col("kind", "value_fob_usd", "grade", "lead_rank", "signal_names", "passage_fob_usd").first(),
        is_graded=pl.col("grade").is_in(["A", "B"]).any(),
    )
    graded = leads.filter(pl.col("grade").is_in(["A", "B"]))
    return cases, graded.join(routes, on=ROUTE, how="anti")


def world_of(seed: int, with_passages: bool) -> WorldConfig:
    """The light world of a seed, with every passage or with none."""
    config = WorldConfig.light(seed=seed)
    return config if with_passages else replace(WorldConfig.without_evasion(seed=seed), size=config.size)


def _make(task: tuple[int, bool, str]) -> str:
    seed, with_passages, folder = task
    path = Path(folder) / f"{seed}-{'on' if with_passages else 'off'}"
    if not (path / "passages" / "family_breaks.parquet").exists():
        reconciled_world(world_of(seed, with_passages), path)
    return str(path)


def worlds(seeds: Sequence[int], folder: Path) -> Iterator[tuple[int, bool, Path]]:
    """Make each seed's two worlds, two at a time, and yield them as they stand."""
    tasks = [(seed, with_passages, str(folder)) for seed in seeds for with_passages in (True, False)]
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    with ProcessPoolExecutor(2) as pool:
        for (seed, with_passages, _), path in zip(tasks, pool.map(_make, tasks), strict=True):
            yield seed, with_passages, Path(path)


def _numbers(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def report(cases: pl.DataFrame, false: int, graded: int, innocent: pl.DataFrame) -> str:
    """The figures as Markdown."""
    large = cases.filter(pl.col("value_fob_usd") > LARGE_USD)
    found = large.filter("is_graded")
    value = found["value_fob_usd"].sum() / large["value_fob_usd"].sum()
    lines = [
        f"- precision of A and B: {1 - false / max(graded, 1):.3f} ({graded - false} of {graded} leads)",
        f"- recall of passages above 1 m USD at A or B: {found.height / large.height:.3f} "
        f"({found.height} of {large.height}); at any grade {large['grade'].count() / large.height:.3f}",
        f"- value recall at A or B: {value:.3f}",
        f"- A or B in {innocent.height} innocent worlds: {int(innocent['graded'].sum())}; "
        f"leads of C {int(innocent['c'].sum())}, of D {int(innocent['d'].sum())}; "
        f"largest share of placebo cells that rose: {innocent['placebo'].max():.4f}",
        "",
        "| kind | planted | found | A or B | median rank |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for kind, own in sorted(large.group_by("kind"), key=lambda pair: str(pair[0][0])):
        lines.append(
            f"| {kind[0]} | {own.height} | {own['grade'].count()} | {own.filter('is_graded').height} | "
            f"{own['lead_rank'].median():.0f} |"
        )
    lines += ["", "| signal | planted cases that show it |", "| --- | ---: |"]
    for signal in SIGNALS:
        shown = large.filter(pl.col("signal_names").str.split(" ").list.contains(signal).fill_null(False))
        lines.append(f"| {signal} | {shown.height} |")
    grades = large.group_by("grade").len().sort("grade", nulls_last=True)
    lines += ["", "grades of planted cases: " + ", ".join(f"{g or 'none'} {n}" for g, n in grades.iter_rows())]
    return "\n".join(lines)


# Rules that silence one signal: what is then found no longer rests on it.
SILENCED = {
    "annual surge": {"rise_z_score": "99"},
    "structural break": {"break_least_active_months": "999", "largest_p_value": "0"},
    "lost in transit": {"lost_least_ratio": "99"},
    "decoy swap": {"decoy_least_usd": "1e15"},
    "new product": {"silent_years": "99"},
    "flow conservation": {"conservation_least_ratio": "1e9"},
    "implausible demand": {"demand_ratio": "1e9"},
    "unit value": {"unit_value_log": "99"},
}


def ablation(models: PassageModels, made: Sequence[tuple[int, bool, Path]]) -> str:
    """What is found, and what is found wrongly, when one control is switched off or one signal is silenced."""
    reference = load_reference(SEEDS_DIR)
    lines = [
        "| taken away | A or B found | A or B not planted | A or B in innocent worlds |",
        "| --- | ---: | ---: | ---: |",
    ]
    whole = [("nothing", reference, {})]
    controls = [
        (f"control {c}", switched_off(reference, c), {}) for c in reference.false_positive_controls["control_code"]
    ]
    silenced = [(f"signal {name}", reference, rules) for name, rules in SILENCED.items()]
    for name, tables, rules in (*whole, *controls, *silenced):
        changed = as_seed(tables.passage_rules).with_columns(
            rule_value=pl.col("rule_code").replace_strict(rules, default=pl.col("rule_value"), return_dtype=pl.String)
        )
        seeds = {"false_positive_controls": as_seed(tables.false_positive_controls), "passage_rules": changed}
        found, wrong, quiet = 0, 0, 0
        for _, with_passages, path in made:
            with tempfile.TemporaryDirectory() as scratch:
                root = Path(scratch)
                for layer in ("contracted", "reconciled"):
                    (root / layer).symlink_to(path.resolve() / layer, target_is_directory=True)
                keys = with_rolled_up_years(p.stem for p in (path / "contracted" / "declarations").glob("*.parquet"))
                find_passages(DataPaths(root), list(keys), tables, name)
                with models.build(root, ["mart_passage_lead"], seeds) as con:
                    leads = leads_of(con)
            if with_passages:
                cases, false = judged(leads, pl.read_parquet(path / "sample" / "truth" / "planted_case.parquet"))
                found += cases.filter(pl.col("is_graded").fill_null(False)).height
                wrong += false.height
            else:
                quiet += leads.filter(pl.col("grade").is_in(["A", "B"])).height
        lines.append(f"| {name} | {found} | {wrong} | {quiet} |")
        sys.stderr.write(lines[-1] + "\n")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge the leads on planted worlds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="31-50", help="first and last seed")
    parser.add_argument("--ablation", action="store_true", help="take away one control or signal after the other")
    parser.add_argument("--folder", type=Path, help="keep the worlds here between runs")
    options = parser.parse_args(arguments)
    seeds = _numbers(options.seeds)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="passages-"))
    models, cases, false, graded, quiet = PassageModels(), [], 0, 0, []
    if options.ablation:
        sys.stdout.write(ablation(models, list(worlds(seeds, folder))) + "\n")
        return
    for seed, with_passages, path in worlds(seeds, folder):
        con = models.build(path)
        leads = leads_of(con)
        if with_passages:
            truth = pl.read_parquet(path / "sample" / "truth" / "planted_case.parquet")
            own, wrong = judged(leads, truth)
            cases.append(own.with_columns(seed=pl.lit(seed)))
            false, graded = false + wrong.height, graded + leads.filter(pl.col("grade").is_in(["A", "B"])).height
            for row in wrong.iter_rows(named=True):
                sys.stderr.write(f"seed {seed}: {row['lead_name']} ({row['grade']}) was not planted\n")
        else:
            rate = con.sql("select coalesce(max(placebo_rise_ratio), 0) from mart_placebo_rate").fetchall()
            count = leads.group_by("grade").len()
            by_grade = dict(count.iter_rows())
            quiet.append(
                {"seed": seed, "graded": by_grade.get("A", 0) + by_grade.get("B", 0), "c": by_grade.get("C", 0)}
                | {"d": by_grade.get("D", 0), "placebo": float(rate[0][0])}
            )
        con.close()
        if options.folder is None:
            shutil.rmtree(path)
    sys.stdout.write(report(pl.concat(cases), false, graded, pl.DataFrame(quiet)) + "\n")


if __name__ == "__main__":
    main()
