"""Small reference tables that the reconciliation takes beside the declarations.

Belongs here: the bundle and simple look-ups derived from it. Does not belong here: reading the tables from disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from orchestration.reconcile.edition_links import EditionSteps, edition_steps
from orchestration.reconcile.numbering import place_among
from orchestration.reconcile.schema import CORRIDOR, FrameError

CORRELATION_COLUMNS = ("hs_revision", "product_code", "older_hs_revision", "older_product_code")


def no_correlations() -> pl.DataFrame:
    """Links of no edition: nothing is known of a code that two editions share, and nothing is converted."""
    return pl.DataFrame(schema=dict.fromkeys(CORRELATION_COLUMNS, pl.String()))


@dataclass(frozen=True)
class ReconcileTables:
    """Typed reference frames; columns as in the seeds of the same name."""

    places: pl.DataFrame
    place_borders: pl.DataFrame
    place_roles: pl.DataFrame
    valuation_by_reporter_year: pl.DataFrame
    product_families: pl.DataFrame
    controls: pl.DataFrame
    corridors_left_out: pl.DataFrame
    published_cif_models: pl.DataFrame
    distances: pl.DataFrame | None = None
    hs_correlations: pl.DataFrame = field(default_factory=no_correlations)

    @cached_property
    def edition_steps(self) -> EditionSteps:
        """The links between editions, walked once."""
        return edition_steps(self.hs_correlations)

    def watched_products(self) -> pl.DataFrame:
        """Codes that never train the model, and their headings: one column product_code, sorted.

        Listed codes, and in families that hold a controlled code their controlled members and predecessors (leave-out
        rule: otherwise evasion only makes a country look unreliable and hides itself). Predecessors of pure decoys do
        train, and a whole chapter is not left out because one of its codes is watched.
        """
        controlled = self.product_families.filter(pl.col("relation") == "controlled").select("family_code").unique()
        members = self.product_families.filter(pl.col("relation").is_in(["controlled", "predecessor"]))
        members = members.join(controlled, on="family_code", how="semi")
        codes = pl.concat([self.controls.select("product_code"), members.select("product_code")])
        headings = codes.select(pl.col("product_code").str.slice(0, 4))
        return pl.concat([codes, headings]).unique().sort("product_code")

    def corridor_facts(self, corridors: pl.DataFrame) -> pl.DataFrame:
        """Distance, contiguity and landlocked ends of each (exporter_code, importer_code).

        Returns the corridors plus distance_km, is_contiguous, is_landlocked_exporter, is_landlocked_importer;
        distance and contiguity of the user's file where it holds the corridor, else the great circle; NULL distance
        where a place has no coordinates.
        """
        ends = corridors.select(CORRIDOR).unique().sort(CORRIDOR)
        codes, facts = self._known_corridors
        # All corridors stand in order, so that a corridor's place follows from its two codes: a join would make a
        # hash of all of them anew every time.
        exporter, importer = (place_among(codes, ends[c]) for c in CORRIDOR)
        found = facts.select(pl.all().gather(exporter * len(codes) + importer))
        flags = ("is_contiguous", "is_landlocked_exporter", "is_landlocked_importer")
        return ends.hstack(found.with_columns(pl.col(flags).fill_null(False)))

    @cached_property
    def _known_corridors(self) -> tuple[pl.Series, pl.DataFrame]:
        """Codes of the places of the tables, and the facts of every corridor between two of them in their order.

        Asked for in every period, computed once. Raises FrameError where a table names a corridor or place twice.
        """
        brought = self.distances if self.distances is not None else _no_distances()
        codes = pl.concat([self.places["place_code"], *(brought[c] for c in CORRIDOR)]).unique().sort()
        ends = pl.DataFrame({"exporter_code": codes}).join(pl.DataFrame({"importer_code": codes}), how="cross")
        place = self.places.select("place_code", "latitude_deg", "longitude_deg", "is_landlocked")
        for side in ("exporter", "importer"):
            ends = ends.join(
                place.rename({c: f"{side}_{c}" for c in place.columns if c != "place_code"}),
                left_on=f"{side}_code",
                right_on="place_code",
                how="left",
            )
        both = self.place_borders.select(a="place_code", b="neighbour_code")
        borders = pl.concat([both, both.select(a="b", b="a")]).unique().with_columns(is_contiguous=pl.lit(True))
        facts = (
            ends.join(borders, left_on=list(CORRIDOR), right_on=["a", "b"], how="left")
            .join(
                brought.rename({"distance_km": "_brought_km", "is_contiguous": "_brought_contiguous"}),
                on=list(CORRIDOR),
                how="left",
            )
            .select(
                *CORRIDOR,
                pl.coalesce("_brought_km", great_circle_km()).alias("distance_km"),
                pl.coalesce("_brought_contiguous", pl.col("is_contiguous").fill_null(False)).alias("is_contiguous"),
                is_landlocked_exporter="exporter_is_landlocked",
                is_landlocked_importer="importer_is_landlocked",
            )
            .sort(CORRIDOR)
        )
        if facts.height != len(codes) ** 2:
            raise FrameError(
                "the tables of places or distances name a place or a corridor twice; its margin would be that of "
                "whichever row comes first; keep one row for each place and each corridor"
            )
        return codes, facts.drop(CORRIDOR)


def _no_distances() -> pl.DataFrame:
    kinds = {"exporter_code": pl.String, "importer_code": pl.String, "distance_km": pl.Float64}
    return pl.DataFrame(schema=kinds | {"is_contiguous": pl.Boolean})


EARTH_RADIUS_KM = 6371.0088
MINIMUM_DISTANCE_KM = 10.0


def great_circle_km() -> pl.Expr:
    """Great-circle distance (haversine, km) between the two main cities; at least 10 km."""
    a, b = pl.col("exporter_latitude_deg").radians(), pl.col("importer_latitude_deg").radians()
    over = (pl.col("importer_longitude_deg") - pl.col("exporter_longitude_deg")).radians()
    h = ((b - a) / 2).sin() ** 2 + a.cos() * b.cos() * (over / 2).sin() ** 2
    return (2 * EARTH_RADIUS_KM * h.clip(0.0, 1.0).sqrt().arcsin()).clip(lower_bound=MINIMUM_DISTANCE_KM)
