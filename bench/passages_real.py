"""The machinery of passages on real declarations: `python -m bench.passages_real --data /tmp/real`.

Belongs here: a test embargo in tables, pointed at the goods that the real collections hold, on the data folder of an
earlier run of `bench.real_run`; what is found and what stays silent is printed. Does not belong here: any claim about
anybody; what it means stands in docs/passages.md. Nothing here is published.

The collections hold fish (monthly, HS6) and wood (annual, HS4), of which nothing was forbidden to be sent to Russia.
The embargo is a test of the machinery: half of the fish codes and all of the wood stand on the list, the other fish
codes are the placebo basket.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from bench.accuracy_first import SEEDS_DIR
from bench.innocent_worlds import as_seed
from bench.passage_models import PassageModels
from bench.passages import leads_of
from orchestration.pipeline.passages import find_passages
from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import with_rolled_up_years
from orchestration.reference import Reference, load_reference

WOOD = ("4401", "4403", "4408", "4410", "4411")
FISH_CHAPTER = "03"


def embargo_for_testing(reference: Reference, fish: Sequence[str], day: date) -> Reference:
    """The project's tables with a list of wood and every second fish code, and the other fish codes as placebo.

    The years before are counted from the day: three that end three years before it, and the year before it.
    """
    listed = [*WOOD, *fish[::2]]
    embargoes = reference.embargoes.filter(pl.col("destination_code") == "643").head(1)
    embargoes = embargoes.with_columns(
        embargo_code=pl.lit(f"TEST_RUS_{day.year}"),
        list_code=pl.lit("TEST_GOODS"),
        reference_date=pl.lit(day),
        baseline_first_year=pl.lit(day.year - 5, dtype=pl.Int64),
        baseline_last_year=pl.lit(day.year - 3, dtype=pl.Int64),
        check_year=pl.lit(day.year - 1, dtype=pl.Int64),
    )
    row = {"list_code": "TEST_GOODS", "tier": None, "hs_revision": "H5", "jurisdiction": "test", "valid_to": None}
    row |= {"valid_from": day, "confidence": "test", "source": "test of the machinery"}
    controls = [row | {"product_code": code, "family_code": f"test_{code}"} for code in listed]
    product = {"hs_revision": "H5", "quantity_unit_code": "8", "basket": "placebo", "source": "test of the machinery"}
    placebo = [product | {"product_code": code, "product_name": code} for code in fish[1::2]]
    return replace(
        reference,
        embargoes=embargoes,
        controls=pl.DataFrame(controls, schema=reference.controls.schema),
        products=pl.DataFrame(placebo, schema=reference.products.schema),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the test embargo on one data folder and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data folder of a run on real declarations")
    parser.add_argument("--day", type=date.fromisoformat, default=date(2022, 2, 24), help="reference date")
    options = parser.parse_args(arguments)
    data = DataPaths(options.data.resolve())
    annual = pl.scan_parquet(data.reconciled / "mirror_flows" / "A-*.parquet")
    codes = annual.select(pl.col("product_code").unique()).collect()["product_code"]
    fish = sorted(code for code in codes if code.startswith(FISH_CHAPTER) and len(code) == 6)
    tables = embargo_for_testing(load_reference(SEEDS_DIR), fish, options.day)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for layer in ("contracted", "reconciled"):
            (root / layer).symlink_to(data.root / layer, target_is_directory=True)
        keys = with_rolled_up_years(p.stem for p in (data.contracted / "declarations").glob("*.parquet"))
        counts = find_passages(DataPaths(root), list(keys), tables, "real")
        seeds = {name: as_seed(getattr(tables, name)) for name in ("embargoes", "controls", "products")}
        with PassageModels().build(root, seeds=seeds) as con, pl.Config(tbl_rows=-1, tbl_width_chars=200):
            leads = leads_of(con)
            sys.stdout.write(f"{counts}\n{leads.group_by('grade').len().sort('grade')}\n")
            rate = con.sql("select period, placebo_cell_count, placebo_rise_count from mart_placebo_rate order by 1")
            sys.stdout.write(f"placebo: {rate.fetchall()}\n")
            tested = con.sql(
                "select leg_kind, count(*), count(effect_z_score), count_if(effect_q_value <= 0.05) "
                "from staging.intermediate.int_embargo_leg_year group by 1 order by 1"
            )
            sys.stdout.write(f"legs (kind, years, tested, q at most 0.05): {tested.fetchall()}\n")
            shown = leads.sort("lead_rank").select(
                *("grade", "lead_name", "signal_names", "passage_fob_usd", "inbound_q_value", "outbound_q_value"),
                "holding_explanation_count",
            )
            with pl.Config(fmt_str_lengths=110, tbl_cols=-1):
                sys.stdout.write(f"{shown.head(25)}\n")


if __name__ == "__main__":
    main()
