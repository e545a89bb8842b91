"""The reference tables the contract needs.

Belongs here: which tables, and lookups shared by several rules. Does not belong here: reading files, the facts.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

WORLD_CODE = "000"
TOTAL_PRODUCT = "TOTAL"
TOTAL_CUSTOMS = "C00"
TOTAL_TRANSPORT = "0"
TOTAL_MODE_OF_SUPPLY = "0"


@dataclass(frozen=True)
class ContractTables:
    """Typed reference frames, one row per code; columns as in the seeds of the same name."""

    places: pl.DataFrame
    flows: pl.DataFrame
    hs_codes: pl.DataFrame
    customs_procedures: pl.DataFrame
    transport_modes: pl.DataFrame
    quantity_units: pl.DataFrame
    modes_of_supply: pl.DataFrame

    def place_facts(self, side: str) -> pl.DataFrame:
        """One row per place: `<side>_code`, `<side>_iso3`, `_<side>_role`, `_<side>_from`, `_<side>_to`."""
        return self.places.select(
            pl.col("place_code").alias(f"{side}_code"),
            pl.col("iso3").str.strip_chars().alias(f"{side}_iso3"),
            pl.col("mirror_role").alias(f"_{side}_role"),
            pl.col("valid_from").alias(f"_{side}_from"),
            pl.col("valid_to").alias(f"_{side}_to"),
        )

    def sub_flow_codes(self) -> list[str]:
        """Flows that are inside exports or inside imports (re-exports, processing ...)."""
        return self.flows.filter(pl.col("is_sub_flow"))["flow_code"].to_list()

    def export_codes(self) -> list[str]:
        """Flows of the exporter's side, sub-flows included."""
        return self.flows.filter(pl.col("mirror_side") == "X")["flow_code"].to_list()

    def transport_ancestors(self) -> pl.DataFrame:
        """mot_code, ancestor_code: every mode that holds a mode, the grand total left out."""
        step = self.transport_modes.select("mot_code", ancestor_code="parent_code").filter(
            pl.col("ancestor_code").is_not_null() & (pl.col("ancestor_code") != TOTAL_TRANSPORT)
        )
        found, frontier = step, step
        while frontier.height:
            frontier = frontier.join(
                step.rename({"mot_code": "ancestor_code", "ancestor_code": "_next"}), on="ancestor_code"
            ).select("mot_code", ancestor_code="_next")
            frontier = frontier.join(found, on=["mot_code", "ancestor_code"], how="anti")
            found = pl.concat([found, frontier])
        return found.unique().sort("mot_code", "ancestor_code")
