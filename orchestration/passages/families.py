"""Product families: which codes stand for the same goods through the editions, and their flows.

Belongs here: the members of a family, whether a code counts in its series, the sums of a family's flows. Does not
belong here: which families are controlled, which is data (seeds product_families, controls, family_breaks, products).

A code that is broader than its family (cameras hold drones before HS2022) would put other goods into the series: it is
kept beside them as uncounted value, and asked only when somebody says that a family was never traded.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from orchestration.passages.schema import DECOY, FAMILY_FLOWS, MEMBERS, PLACEBO, WATCHED, conform
from orchestration.sums import count_where, exact_sum

NEW_CODE, NARROWED, WHOLE = "new_code", "narrowed", "whole"
PLACEBO_PREFIX = "placebo_"
_KEY = ("frequency", "period", "exporter_code", "importer_code", "family_code")


@dataclass(frozen=True)
class FamilyTables:
    """The reference tables that passages need, as typed frames (see orchestration.reference)."""

    product_families: pl.DataFrame
    controls: pl.DataFrame
    family_breaks: pl.DataFrame
    products: pl.DataFrame
    embargoes: pl.DataFrame
    decoy_pairs: pl.DataFrame
    hs_editions: pl.DataFrame
    passage_rules: pl.DataFrame
    false_positive_controls: pl.DataFrame

    def rule(self, code: str) -> float:
        """The value of one threshold. Raises KeyError when the table passage_rules does not name it."""
        return rule_of(self.passage_rules, code)

    def is_on(self, control: str) -> bool:
        """Whether a false-positive control is applied. Raises KeyError when the table does not name it."""
        found = self.false_positive_controls.filter(pl.col("control_code") == control)["is_on"].to_list()
        if len(found) != 1:
            raise KeyError(f"false_positive_controls names {control!r} {len(found)} times; it must stand there once")
        return bool(found[0])

    def growth_floor_usd(self) -> float:
        """Value below which growth is shrunk; next to nothing where the minimum size is switched off."""
        return self.rule("growth_floor_usd") if self.is_on("minimum_size") else 1_000.0

    def smallest_tested_usd(self) -> float:
        """Value below which a cell is not tested; none where the minimum size is switched off."""
        return self.rule("smallest_tested_usd") if self.is_on("minimum_size") else 0.0


def rule_of(rules: pl.DataFrame, code: str) -> float:
    """The value of one threshold of a table of rules (rule_code, rule_value)."""
    found = rules.filter(pl.col("rule_code") == code)["rule_value"].to_list()
    if len(found) != 1:
        raise KeyError(f"passage_rules names {code!r} {len(found)} times; it must stand there once")
    return float(found[0])


def family_members(tables: FamilyTables) -> pl.DataFrame:
    """Every code of every watched, decoy and placebo family (schema MEMBERS).

    Watched: families of the control lists. A listed code without a family is a family of its own. Predecessors count
    in the series of a family that they join whole (family_breaks: `whole`), or that has no break at all.
    """
    listed = tables.controls.select("family_code", "product_code").unique()
    watched = listed["family_code"].unique().sort()
    decoys = tables.decoy_pairs["decoy_family_code"].unique().sort()
    named = tables.product_families.filter(pl.col("family_code").is_in(watched.implode()))
    others = tables.product_families.filter(
        pl.col("family_code").is_in(decoys.implode()) & ~pl.col("family_code").is_in(watched.implode())
    )
    # A family may be both: the cameras are controlled in one code and a decoy in others.
    broken = tables.family_breaks.filter(pl.col("break_kind") == NEW_CODE)["family_code"].unique().sort()
    is_broad = (pl.col("relation") == "predecessor") & pl.col("family_code").is_in(broken.implode())
    rows = pl.concat(
        [named.with_columns(family_kind=pl.lit(WATCHED)), others.with_columns(family_kind=pl.lit(DECOY))]
    ).with_columns(is_counted=~is_broad)
    alone = listed.join(tables.product_families, on=["family_code", "product_code"], how="anti").with_columns(
        family_name="family_code",
        family_kind=pl.lit(WATCHED),
        hs_revision_from=pl.lit("H0"),
        hs_revision_to=pl.lit("H9"),
        is_counted=pl.lit(True),
    )
    placebo = tables.products.filter(pl.col("basket") == PLACEBO).select(
        "product_code",
        family_code=PLACEBO_PREFIX + pl.col("product_code"),
        family_name="product_name",
        family_kind=pl.lit(PLACEBO),
        hs_revision_from=pl.lit("H0"),
        hs_revision_to=pl.lit("H9"),
        is_counted=pl.lit(True),
    )
    made = pl.concat([frame.select(list(MEMBERS)) for frame in (rows, alone, placebo)])
    return conform(made, MEMBERS, ("family_code", "product_code"))


def family_flows(flows: pl.DataFrame, members: pl.DataFrame) -> pl.DataFrame:
    """Flows of the families of one period (schema FAMILY_FLOWS).

    Args: reconciled flows (schema MIRROR_FLOWS of the reconciliation; only the columns used need be there), members
    (schema MEMBERS). Returns: one row per exporter, importer and family, FOB USD. exporter_fob_usd and
    importer_fob_usd are what each side filed, NULL where it filed none of the family; silent_importer_fob_usd is what
    the exporter filed of goods of which the importer, who filed the period, filed none.
    """
    rows = flows.join(members, on="product_code", how="inner").filter(
        pl.col("hs_revision").is_null()
        | pl.col("hs_revision").is_between(pl.col("hs_revision_from"), pl.col("hs_revision_to"))
    )
    counted, value = pl.col("is_counted"), pl.col("reconciled_mean_fob_usd")

    def filed(column: str) -> pl.Expr:
        of_family = pl.col(column).filter(counted)
        return pl.when(of_family.is_not_null().any()).then(exact_sum(of_family)).alias(column)

    def silent(status: str) -> pl.Expr:
        return exact_sum(value.filter(counted & (pl.col("status") == status)))

    made = rows.group_by(*_KEY, "period_start", "family_kind").agg(
        filed("exporter_fob_usd"),
        filed("importer_fob_usd"),
        reconciled_mean_fob_usd=exact_sum(value.filter(counted)),
        two_sided_fob_usd=silent("two_sided"),
        silent_importer_fob_usd=silent("exporter_only_partner_silent"),
        silent_exporter_fob_usd=silent("importer_only_partner_silent"),
        reexport_usd=exact_sum(pl.col("reexport_usd").filter(counted)),
        uncounted_fob_usd=exact_sum(value.filter(~counted)),
        flow_count=pl.len(),
        confidential_flow_count=count_where(pl.col("is_confidential")),
        is_edition_mismatch=(pl.col("is_edition_mismatch") & counted).any(),
    )
    gap = pl.col("exporter_fob_usd") - pl.col("importer_fob_usd")
    return conform(made.with_columns(gap_fob_usd=gap), FAMILY_FLOWS, _KEY)
