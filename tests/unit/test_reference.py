"""Reference tables are read as text, typed, and refused when a fact has no key or no source."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl
import pytest

from orchestration.reference import KEYS, ReferenceError, load_reference, load_seed, reference_fingerprint


@pytest.fixture
def seeds(tmp_path: Path, seeds_dir: Path) -> Path:
    """A copy of the seeds that a test may spoil."""
    return Path(shutil.copytree(seeds_dir, tmp_path / "seeds"))


def test_every_seed_has_keys_and_is_read_when_the_project_is_loaded(seeds_dir: Path) -> None:
    assert {path.stem for path in seeds_dir.glob("*.csv")} == set(KEYS)
    reference = load_reference(seeds_dir)
    assert reference.places.schema["valid_from"] == pl.Date()
    assert reference.places.schema["is_landlocked"] == pl.Boolean()


def test_namibia_keeps_its_code_when_places_are_read(seeds_dir: Path) -> None:
    places = load_reference(seeds_dir).places
    assert places.filter(pl.col("place_code") == "516").select("iso2", "iso3").row(0) == ("NA", "NAM")


@pytest.mark.parametrize(
    ("code", "role"),
    [("842", "pair"), ("757", "pair"), ("490", "pair"), ("839", "special"), ("097", "excluded"), ("000", "world")],
)
def test_trap_codes_have_their_role_when_places_are_read(seeds_dir: Path, code: str, role: str) -> None:
    places = load_reference(seeds_dir).places
    assert places.filter(pl.col("place_code") == code)["mirror_role"].to_list() == [role]


def test_a_missing_file_is_refused_when_a_seed_is_gone(seeds: Path) -> None:
    (seeds / "flows.csv").unlink()
    with pytest.raises(ReferenceError, match=r"flows is missing.*restore the file"):
        load_reference(seeds)


def test_a_key_is_refused_when_it_stands_twice(seeds: Path) -> None:
    text = (seeds / "flows.csv").read_text(encoding="utf-8")
    (seeds / "flows.csv").write_text(text + text.splitlines()[1] + "\n", encoding="utf-8")
    with pytest.raises(ReferenceError, match=r"more than once.*would multiply"):
        load_seed(seeds, "flows")


def test_a_fact_is_refused_when_it_has_no_source(seeds: Path) -> None:
    with (seeds / "flows.csv").open("a", encoding="utf-8") as handle:
        handle.write("ZZ,Invented,X,false,\n")
    with pytest.raises(ReferenceError, match="without a source"):
        load_seed(seeds, "flows")


def test_a_column_is_refused_when_it_is_missing(seeds: Path) -> None:
    text = (seeds / "flows.csv").read_text(encoding="utf-8")
    (seeds / "flows.csv").write_text(text.replace("flow_code", "code"), encoding="utf-8")
    with pytest.raises(ReferenceError, match="no column flow_code"):
        load_seed(seeds, "flows")


def test_a_cell_is_refused_when_it_is_of_the_wrong_type(seeds: Path) -> None:
    text = (seeds / "place_roles.csv").read_text(encoding="utf-8")
    (seeds / "place_roles.csv").write_text(text.replace("2022-02-24", "24 February 2022", 1), encoding="utf-8")
    with pytest.raises(ReferenceError, match="place_roles holds a cell of the wrong type"):
        load_reference(seeds)


def test_the_fingerprint_moves_when_one_byte_of_a_seed_does(seeds: Path) -> None:
    before = reference_fingerprint(seeds)
    assert before == reference_fingerprint(seeds)
    with (seeds / "flows.csv").open("a", encoding="utf-8") as handle:
        handle.write("\n")
    assert reference_fingerprint(seeds) != before


def test_another_embargo_is_an_edit_of_tables_when_code_and_models_are_read(project_dir: Path) -> None:
    """No place code of the story stands in the code: only in the tables."""
    root = project_dir
    codes = {"643", "417", "398", "112"}
    named = [
        f"{path.relative_to(root)}: {code}"
        for folder in ("orchestration/comtrade", "orchestration/reconcile", "orchestration/pipeline", "expectations")
        for path in sorted((root / folder).rglob("*.py"))
        for code in sorted(codes)
        if f'"{code}"' in path.read_text(encoding="utf-8")
    ]
    models = sorted((root / "dbt_project" / "models").rglob("*.sql"))
    named += [f"{p.name}: {c}" for p in models for c in sorted(codes) if f"'{c}'" in p.read_text(encoding="utf-8")]
    assert named == []


def test_links_lead_from_codes_of_an_edition_to_codes_of_the_one_before_when_correlations_are_read(
    seeds_dir: Path,
) -> None:
    reference = load_reference(seeds_dir)
    links = reference.hs_correlations
    editions = sorted(reference.hs_editions["hs_revision"])
    assert set(links.select("hs_revision", "older_hs_revision").iter_rows()) == set(
        zip(editions[1:], editions, strict=False)
    )
    known = reference.hs_codes.with_columns(hs_revision=pl.col("hs_revisions").str.split(" ")).explode("hs_revision")
    for code, edition in (("product_code", "hs_revision"), ("older_product_code", "older_hs_revision")):
        held = links.join(known, left_on=[code, edition], right_on=["product_code", "hs_revision"], how="anti")
        assert held.rows() == []
    alone = pl.len().over("hs_revision", "product_code") == 1
    assert links.filter(alone & (pl.col("product_code") == pl.col("older_product_code"))).rows() == []


def test_a_code_that_only_a_newer_edition_holds_has_a_link_when_correlations_are_read(seeds_dir: Path) -> None:
    """Otherwise it would be taken for the same code in the edition before."""
    reference = load_reference(seeds_dir)
    known = reference.hs_codes.with_columns(hs_revision=pl.col("hs_revisions").str.split(" ")).explode("hs_revision")
    own = known.filter((pl.col("product_level") == 6) & (pl.col("hs_revision") > "H0"))
    before = pl.lit("H") + (pl.col("hs_revision").str.slice(1).cast(pl.Int64) - 1).cast(pl.String)
    new = own.with_columns(before=before).filter(
        ~pl.struct("product_code", "before").is_in(
            known.select(pl.struct("product_code", before="hs_revision"))["product_code"].implode()
        )
    )
    unlinked = new.join(reference.hs_correlations, on=["product_code", "hs_revision"], how="anti")
    assert new.height > 1_000
    assert unlinked.select("hs_revision", "product_code").sort(pl.all()).rows() == []
