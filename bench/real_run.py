"""The real declarations end to end, and its both-sided cells against a count made in plain SQL on the raw files.

`python -m bench.real_run` links fish (monthly HS6, 2015-2022) and wood (annual HS4, 1996-2022) of ../shared into one
folder, runs `make run`'s own command on it in a fresh data folder, and prints wall time, peak memory, what was
published, the quarantine share, conservation, the revisions of heading 4401, and for every year the number of
both-sided annual cells in the release beside a count that shares no code with the project (fish: in corridors of one
HS edition, since the others are converted). Exit status 1 when one differs.

Belongs here: the harness. Does not belong here: tests (tests/integration compares one year of fish and one heading).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

PROJECT_DIR = Path(__file__).resolve().parents[1]
FISH, WOOD = "fish_monthly_hs6/comtrade_monthly_fish_*.parquet", "wood_annual_hs4/uncomtrade_*.parquet"
# Areas not elsewhere specified, bunkers, free zones, groups: kept apart from pairs (UN Comtrade's own reference table).
NO_PAIR = "(0, 97, 129, 221, 290, 471, 472, 473, 492, 527, 536, 568, 577, 636, 637, 697, 837, 838, 839, 879, 899, 975)"

FISH_CELLS = f"""
with filed as (
    select substr(cast(period as varchar), 1, 4) as year, cast(period as varchar) as month, reporter_code as reporter,
           partner_code as partner, flow_code as flow, cmd_code as product, primary_value as usd,
           classification_code as edition
    from read_parquet($fish)
    where customs_code = 'C00' and mot_code = 0 and partner2code = 0 and primary_value is not null
), whole as (
    -- Twelve months of each side by itself: absent months of imports are missing, not zero.
    select year, reporter, case when flow in ('X', 'RX', 'DX') then 'X' else 'M' end as flow
    from filed where flow in ('X', 'M', 'RX', 'RM', 'DX', 'FM')
    group by all having count(distinct month) = 12
), sides as (
    select year, flow, reporter, partner, product, sum(usd) as usd, min(edition) as first, max(edition) as last
    from filed semi join whole using (year, reporter, flow)
    where flow in ('X', 'M') and partner not in {NO_PAIR} and reporter <> partner group by all
), of_one_edition as (
    -- Corridors of two editions are converted, which an independent count cannot follow.
    select year, exporter, importer from (
        select year, first, last, case flow when 'X' then reporter else partner end as exporter,
               case flow when 'X' then partner else reporter end as importer from sides
    ) group by all having min(first) = max(last)
)
select x.year, count(*) as cells, sum(x.usd) as exporter_usd, sum(m.usd) as importer_usd
from (select * from sides where flow = 'X') x join (select * from sides where flow = 'M') m
    on x.year = m.year and x.reporter = m.partner and x.partner = m.reporter and x.product = m.product
semi join of_one_edition as one on x.year = one.year and x.reporter = one.exporter and x.partner = one.importer
group by x.year order by x.year
"""

WOOD_CELLS = f"""
with filed as (
    select refYear, reporterCode as reporter, partnerCode as partner, flowCode as flow, cmdCode as product,
           primaryValue as usd, filename like '%07eac450%' as is_newer
    from read_parquet($wood, filename = true)
    where motCode = 0 and customsCode = 'C00' and partner2Code = 0
), newest as (
    select * from filed
    where is_newer or product <> '4401' or (refYear, reporter) not in
        (select (refYear, reporter) from filed where is_newer)
), sides as (
    select refYear, flow, reporter, partner, product, sum(usd) as usd from newest
    where flow in ('X', 'M') and partner not in {NO_PAIR} and reporter <> partner group by all
)
select cast(x.refYear as varchar) as year, count(*) as cells, sum(x.usd) as exporter_usd, sum(m.usd) as importer_usd
from (select * from sides where flow = 'X') x join (select * from sides where flow = 'M') m
    on x.refYear = m.refYear and x.reporter = m.partner and x.partner = m.reporter and x.product = m.product
group by x.refYear order by x.refYear
"""

RELEASED = """
select period as year, count(*) as cells, sum(exporter_value_usd) as exporter_usd,
       sum(importer_value_usd) as importer_usd
from marts.fct_mirror_flow
where frequency = 'A' and status = 'two_sided' and product_level = $level and (chapter_code = '44') = $is_wood
    and ($is_wood or (period, exporter_code, importer_code) in (
        select (period, exporter_code, importer_code) from marts.fct_mirror_flow
        where frequency = 'A' and chapter_code <> '44' group by all
        having min(least(exporter_hs_revision, importer_hs_revision)) =
            max(greatest(exporter_hs_revision, importer_hs_revision))
            and not bool_or(is_edition_mismatch)))
group by period order by period
"""


def link(shared: Path, folder: Path) -> None:
    """One folder with links to both sets, as an analyst would put downloads together."""
    for pattern in (FISH, WOOD):
        for path in sorted((shared / "declarations").glob(pattern)):
            target = folder / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.resolve())


def run(folder: Path, data_dir: Path) -> float:
    """Run the command line on the folder; returns wall seconds. Raises RuntimeError when it does not publish."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MIRROR_", "DBT_", "DAGSTER_"))}
    environment |= {
        "MIRROR_SOURCE": "files",
        "MIRROR_DECLARATIONS": str(folder),
        "MIRROR_DATA_DIR": str(data_dir),
        "PYTHONPATH": str(PROJECT_DIR),
    }
    began = time.monotonic()
    command = [sys.executable, "-m", "orchestration.defs.cli", "run"]
    outcome = subprocess.run(command, cwd=PROJECT_DIR, env=environment, check=False)
    if outcome.returncode != 0:
        raise RuntimeError("the run did not publish; see above")
    return time.monotonic() - began


def compare(shared: Path, database: Path) -> int:
    """Print both counts side by side, by set and year; returns how many differ."""
    raw = duckdb.connect()
    places = {"fish": str(shared / "declarations" / FISH), "wood": str(shared / "declarations" / WOOD)}
    wrong = 0
    with duckdb.connect(str(database), read_only=True) as release:
        for name, sql, level in (("fish", FISH_CELLS, 6), ("wood", WOOD_CELLS, 4)):
            counted = raw.execute(sql, {name: places[name]}).fetchall()
            found = release.execute(RELEASED, {"level": level, "is_wood": name == "wood"}).fetchall()
            by_year = {row[0]: row[1:] for row in found}
            for year, *figures in counted:
                said = by_year.pop(year, (0, 0.0, 0.0))
                same = said[0] == figures[0] and all(
                    abs(a - b) <= 1e-9 * max(abs(a), 1.0) for a, b in zip(said[1:], figures[1:], strict=True)
                )
                wrong += not same
                verdict = "same" if same else f"DIFFERENT {said}"
                values = f"{figures[1]:>18,.0f} / {figures[2]:>18,.0f} USD"
                print(f"  {name} {year}: {figures[0]:>7,} cells, {values} {verdict}")
            wrong += len(by_year)
            if by_year:
                print(f"  {name}: only in the release: {by_year}")
    return wrong


def tell(database: Path) -> None:
    """Figures of the release that the real run is known by."""
    with duckdb.connect(str(database), read_only=True) as con:
        share = con.execute(
            "select sum(quarantine_usd) / sum(declared_usd), sum(quarantine_usd), sum(declared_usd), "
            "max(abs(declared_usd - pair_usd - total_usd - special_usd - quarantine_usd)) from marts.mart_conservation"
        ).fetchall()[0]
        print(f"  quarantine share {share[0]:.3e} ({share[1]:,.0f} of {share[2]:,.0f} USD)")
        print(f"  unaccounted for in any reporter's period, at most: {share[3]:.3e} USD")
        told = con.execute(
            "select sum(keys_added_count), sum(keys_removed_count), sum(keys_revised_count), sum(keys_unchanged_count) "
            "from marts.mart_revision"
        ).fetchall()[0]
        print("  revisions: added {}, removed {}, revised {}, unchanged {}".format(*told))
        for status, count in con.execute(
            "select status, count(*) from marts.fct_mirror_flow group by all order by all"
        ).fetchall():
            print(f"  {status}: {count:,}")


def main() -> int:
    """Run the harness."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, default=PROJECT_DIR.parent / "shared")
    parser.add_argument(
        "--data-dir", type=Path, default=None, help="keep the data here; an existing release is compared"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="real-") as scratch:
        folder, data_dir = Path(scratch) / "downloads", given.data_dir or Path(scratch) / "data"
        link(given.shared, folder)
        wall = run(folder, data_dir)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"wall {wall:.0f} s, largest process {peak:.2f} GB")
        database = data_dir / "releases" / "latest" / "warehouse.duckdb"
        tell(database)
        wrong = compare(given.shared, database)
    print("every count agrees" if not wrong else f"{wrong} counts differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
