"""The page of `bench.accuracy`: docs/accuracy.md with its tables and plots, from figures on disk.

Belongs here: layout. Does not belong here: measuring, verdicts beside the stated bar.
"""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

TITLE = "# How near each estimator comes to a truth that is known\n"
METHODS = {
    "variance_components": "variance_components (default)",
    "baci": "baci",
    "geometric_mean": "geometric_mean",
    "exporter_first": "exporter_first",
    "importer_first": "importer_first",
}
FREQUENCIES = {"AM": "all", "A": "years", "M": "months"}
BAR_MEDIAN_LOG = 0.072
COVERAGE_BARS = {"coverage_90_ratio": (0.88, 0.93), "coverage_50_ratio": (0.46, 0.54)}


def write_page(figures: pl.DataFrame, folder: Path) -> list[Path]:
    """Write accuracy.md and two plots into `folder`; returns the paths written.

    Args: figures with world, size, seed, method_name, frequency, sides, measure, figure.
    """
    plots = folder / "figures"
    plots.mkdir(exist_ok=True)
    first = figures.filter(pl.col("frequency").is_in(list(FREQUENCIES)) & (pl.col("seed") == 7))
    error, coverage = plots / "accuracy_error.svg", plots / "accuracy_coverage.svg"
    _error_plot(first).save(error)
    _coverage_plot(first).save(coverage)
    page = folder / "accuracy.md"
    page.write_text("\n".join([TITLE, INTRODUCTION, *_sections(figures, first)]) + "\n", encoding="utf-8")
    return [page, error, coverage]


INTRODUCTION = """Written by `python -m bench.accuracy` (packages of `requirements/bench.txt`); every figure stands in
[accuracy.csv](accuracy.csv). Planted worlds with bias, lag, areas nes, mixed editions, hubs, silent reporters and
evasion; the hard world has noisier reporters and mistakes by a factor of ten. True flows over 5,000 USD, confidential
codes left out. Error: median of |ln estimate - ln truth|. Bias: sum of the estimates over the sum of the truth, minus
one; *for sums* is the column `reconciled_mean_fob_usd`. Spread of the total: the standard error of a sum whose flows
err by their own expected spreads, seven tenths of the variance anew in every period and the rest alike in all periods
of a cell; errors of biases and mistakes by a factor of ten come on top, and a few large flows carry most of it.
Intervals of the other methods are ours under their weights: none of them publishes one. Red lines are the bounds that
the default estimator is held to.

Rank correlations: *told of all partners* is what a reader reaches who is told every true bias and every partner's true
sigma and takes the most likely sigma of each reporter from the pairs of that frequency, without any prior. It says how
little the pairs of some reporters hold, and is no bound: the estimates lie above it where the common prior helps, and
where years lean on months.

![Error by estimator](figures/accuracy_error.svg)

![Coverage of the intervals](figures/accuracy_coverage.svg)
"""


def _sections(figures: pl.DataFrame, first: pl.DataFrame) -> list[str]:
    parts: list[str] = []
    for (world, size), one in first.group_by("world", "size", maintain_order=True):
        parts.append(f"## The {world} world, {int(str(size)):,} rows (seed 7)\n")
        for sides, name in (("two_sided", "Two-sided"), ("one_sided", "One-sided")):
            parts.append(f"{name} flows:\n\n{_method_table(one.filter(pl.col('sides') == sides))}\n")
        parts.append(f"Rank correlation of estimated and true sigma, last window:\n\n{_rank_table(one)}\n")
    parts.append(f"## Other seeds\n\nYears, two-sided, 1,000,000 rows, default estimator:\n\n{_seed_table(figures)}\n")
    return parts


def _wide(figures: pl.DataFrame, index: list[str]) -> pl.DataFrame:
    return figures.pivot("measure", index=index, values="figure", aggregate_function="first")


def _method_table(one: pl.DataFrame) -> str:
    wide = _wide(one, ["method_name", "frequency"])
    rows = [
        (
            "method",
            "frequency",
            "flows",
            "error",
            "bias",
            "bias for sums",
            "spread of the total",
            "coverage 90 %",
            "coverage 50 %",
        )
    ]
    for method, label in METHODS.items():
        for frequency, said in FREQUENCIES.items():
            found = wide.filter((pl.col("method_name") == method) & (pl.col("frequency") == frequency))
            for row in found.iter_rows(named=True):
                rows.append((label, said, f"{row['flow_count']:,.0f}", f"{row['median_error_log']:.4f}",
                             _percent(row["total_bias_ratio"]), _percent(row["mean_total_bias_ratio"]),
                             f"{100 * row['total_spread_ratio']:.2f} %",
                             f"{row['coverage_90_ratio']:.3f}", f"{row['coverage_50_ratio']:.3f}"))  # fmt: skip
    return _markdown(rows)


def _rank_table(one: pl.DataFrame) -> str:
    wide = _wide(one.filter(pl.col("sides").is_in(["exporter", "importer"])), ["frequency", "sides"])
    rows = [("frequency", "role", "reporters", "all", "told of all partners", "not resting on the prior", "of them")]
    for row in wide.sort("frequency", "sides").iter_rows(named=True):
        rows.append((FREQUENCIES[row["frequency"]], row["sides"], f"{row['reporter_count']:.0f}",
                     f"{row['spearman_all']:.3f}", f"{row['spearman_told']:.3f}", f"{row['spearman_measured']:.3f}",
                     f"{row['measured_count']:.0f}"))  # fmt: skip
    return _markdown(rows)


def _seed_table(figures: pl.DataFrame) -> str:
    chosen = figures.filter(
        (pl.col("method_name") == "variance_components")
        & (pl.col("frequency") == "A")
        & (pl.col("sides") == "two_sided")
        & (pl.col("size") == 1_000_000)
    )
    rows = [
        ("world", "seed", "error", "bias", "bias for sums", "spread of the total", "coverage 90 %", "coverage 50 %")
    ]
    for row in _wide(chosen, ["world", "seed"]).sort("world", "seed").iter_rows(named=True):
        rows.append((row["world"], str(row["seed"]), f"{row['median_error_log']:.4f}",
                     _percent(row["total_bias_ratio"]), _percent(row["mean_total_bias_ratio"]),
                     f"{100 * row['total_spread_ratio']:.2f} %",
                     f"{row['coverage_90_ratio']:.3f}", f"{row['coverage_50_ratio']:.3f}"))  # fmt: skip
    return _markdown(rows)


def _percent(ratio: float) -> str:
    return f"{100 * ratio:+.2f} %"


def _markdown(rows: list[tuple[str, ...]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def _error_plot(first: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    rows = first.filter(
        (pl.col("measure") == "median_error_log") & (pl.col("sides") == "two_sided") & (pl.col("frequency") != "AM")
    )
    shown = _labelled(rows)
    bars = (
        alt.Chart()
        .mark_bar()
        .encode(
            x=alt.X("figure:Q", title="median |ln estimate - ln truth|, two-sided flows"),
            y=alt.Y("method_name:N", title=None, sort=list(METHODS)),
            yOffset="frequency:N",
            color=alt.Color("frequency:N", title=None, scale=alt.Scale(range=["#4c78a8", "#9ecae9"])),
        )
    )
    rule = alt.Chart().mark_rule(color="#b22222", strokeDash=[4, 3]).encode(x=alt.datum(BAR_MEDIAN_LOG))
    layered = alt.layer(bars, rule, data=alt.Data(values=shown)).properties(width=280, height=170)
    return layered.facet(facet=alt.Facet("world:N", title=None), columns=2)


def _coverage_plot(first: pl.DataFrame) -> alt.FacetChart:
    rows = first.filter(pl.col("measure").is_in(list(COVERAGE_BARS)) & (pl.col("frequency") == "AM"))
    shown = _labelled(rows)
    points = (
        alt.Chart()
        .mark_point(filled=True, size=70)
        .encode(
            x=alt.X("figure:Q", title="share of true flows inside the interval", scale=alt.Scale(domain=[0.35, 1.0])),
            y=alt.Y("method_name:N", title=None, sort=list(METHODS)),
            color=alt.Color("measure:N", title=None, scale=alt.Scale(range=["#f58518", "#4c78a8"])),
            shape=alt.Shape("sides:N", title=None),
        )
    )
    rules = [
        alt.Chart().mark_rule(color="#b22222", strokeDash=[4, 3]).encode(x=alt.datum(edge))
        for edges in COVERAGE_BARS.values()
        for edge in edges
    ]
    layered = alt.layer(points, *rules, data=alt.Data(values=shown)).properties(width=280, height=150)
    return layered.facet(facet=alt.Facet("world:N", title=None), columns=2)


def _labelled(rows: pl.DataFrame) -> list[dict[str, object]]:
    return rows.with_columns(
        world=pl.col("world") + pl.format(" world, {} million rows", pl.col("size") // 1_000_000),
        frequency=pl.col("frequency").replace(FREQUENCIES),
        measure=pl.col("measure").replace({"coverage_90_ratio": "90 %", "coverage_50_ratio": "50 %"}),
        sides=pl.col("sides").str.replace("_", "-"),
    ).to_dicts()
