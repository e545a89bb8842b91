"""Small hand-made declarations and reference tables for the tests of the reconciliation.

Belongs here: one plain row and ways to change it, a handful of places, the calls in their order. Does not belong here:
expectations about the result.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from orchestration import reconcile
from orchestration.reconcile.schema import DECLARATIONS, RELIABILITY_TRAINING

GERMANY, POLAND, CANADA, AUSTRALIA, KAZAKHSTAN, RUSSIA, KYRGYZSTAN = "276", "616", "124", "036", "398", "643", "417"
ISO3 = {GERMANY: "DEU", POLAND: "POL", CANADA: "CAN", AUSTRALIA: "AUS", KAZAKHSTAN: "KAZ", RUSSIA: "RUS"}
ISO3[KYRGYZSTAN] = "KGZ"
TIMBER, WATCHED, PREDECESSOR, DECOY_PREDECESSOR = "440710", "854231", "880220", "842481"

_PLAIN: dict[str, Any] = {
    "frequency": "A", "period": "2019", "reporter_code": GERMANY, "flow_code": "X", "partner_code": POLAND,
    "product_code": TIMBER, "hs_revision": "H5", "value_usd": 100.0, "quantity": None, "quantity_unit_code": None,
    "net_weight_kg": None, "is_net_weight_estimated": False, "is_confidential": False, "account": "pair",
    "account_reason": "kept",
}  # fmt: skip


def declared(**changes: Any) -> dict[str, Any]:
    """One contracted row: Germany's exports of timber to Poland, 2019, 100 USD FOB; columns can be changed."""
    unknown = set(changes) - set(DECLARATIONS)
    if unknown:
        raise KeyError(f"not columns of a declaration: {sorted(unknown)}")
    row = dict.fromkeys(DECLARATIONS) | _PLAIN | changes
    year, month = int(row["period"][:4]), int(row["period"][4:] or 1)
    derived = {
        "period_start": date(year, month, 1),
        "reporter_iso3": ISO3.get(row["reporter_code"]),
        "partner_iso3": ISO3.get(row["partner_code"]),
        "product_level": 0 if row["product_code"] == "TOTAL" else len(row["product_code"]),
        "valuation_filed": "FOB" if "X" in row["flow_code"] else "CIF",
    }
    return row | {name: value for name, value in derived.items() if name not in changes}


def exports(**changes: Any) -> dict[str, Any]:
    """Germany's exports to Poland."""
    return declared(flow_code="X", **changes)


def imports(**changes: Any) -> dict[str, Any]:
    """Poland's imports from Germany."""
    return declared(**({"flow_code": "M", "reporter_code": POLAND, "partner_code": GERMANY} | changes))


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """A frame of declarations; rows without an id are named by their place."""
    named = [row | {"declaration_id": row["declaration_id"] or f"d{n:04d}"} for n, row in enumerate(rows, start=1)]
    return pl.DataFrame(named, schema=dict(DECLARATIONS))


def complete(*codes: str, incomplete: Iterable[str] = ()) -> pl.DataFrame:
    """Completeness of a period: these reporters are complete, those are not, all others are unknown."""
    rows = [(code, True) for code in codes] + [(code, False) for code in incomplete]
    return pl.DataFrame(rows, schema={"reporter_code": pl.String, "is_complete": pl.Boolean}, orient="row")


def small_tables(**changes: pl.DataFrame) -> reconcile.ReconcileTables:
    """Seven places, one FOB importer for good (Canada) and one until 2016 (Australia), three unions, a few codes."""
    places = [
        (GERMANY, 52.5, 13.4, False), (POLAND, 52.2, 21.0, False), (CANADA, 45.4, -75.7, False),
        (AUSTRALIA, -33.9, 151.2, False), (KAZAKHSTAN, 43.2, 76.9, True), (RUSSIA, 55.8, 37.6, False),
        (KYRGYZSTAN, 42.9, 74.6, True),
    ]  # fmt: skip
    text, day = pl.String, pl.Date
    frames = {
        "places": pl.DataFrame(
            places, schema=["place_code", "latitude_deg", "longitude_deg", "is_landlocked"], orient="row"
        ),
        "place_borders": pl.DataFrame({"place_code": [GERMANY, KAZAKHSTAN], "neighbour_code": [POLAND, RUSSIA]}),
        "place_roles": pl.DataFrame(
            {
                "place_code": [KAZAKHSTAN, RUSSIA, KYRGYZSTAN],
                "role": ["eaeu"] * 3,
                "valid_from": [date(2015, 1, 1), date(2015, 1, 1), date(2015, 8, 12)],
                "valid_to": [None, None, None],
            },
            schema_overrides={"valid_to": day},
        ),
        "valuation_by_reporter_year": pl.DataFrame(
            {
                "reporter_code": [CANADA, AUSTRALIA, POLAND],
                "flow_code": ["M", "M", "X"],
                "year_from": [1988, 1988, 1988],
                "year_to": [None, 2016, None],
                "valuation": ["FOB"] * 3,
            },
            schema_overrides={"year_from": pl.Int64, "year_to": pl.Int64},
        ),
        "product_families": pl.DataFrame(
            {
                "family_code": ["aircraft", "aircraft", "sprayers", "sprayers"],
                "product_code": ["880240", PREDECESSOR, DECOY_PREDECESSOR, "842449"],
                "relation": ["controlled", "predecessor", "predecessor", "decoy"],
            }
        ),
        "controls": pl.DataFrame({"product_code": [WATCHED]}),
        "corridors_left_out": pl.DataFrame(
            {
                "exporter_code": [None, KAZAKHSTAN],
                "importer_code": [RUSSIA, None],
                "valid_from": [date(2022, 1, 1)] * 2,
                "valid_to": [None, date(2023, 12, 31)],
            },
            schema={"exporter_code": text, "importer_code": text, "valid_from": day, "valid_to": day},
        ),
        "published_cif_models": pl.DataFrame(
            {
                "model": ["baci_2010_model_2"] * 7,
                "term": ["constant", "ln_distance", "ln_distance_squared", "contiguity", "landlocked_exporter",
                         "landlocked_importer", "ln_world_unit_value"],
                "coefficient": [0.32, -0.11, 0.01, -0.044, -0.009, 0.049, -0.032],
            }
        ),
    }  # fmt: skip
    return reconcile.ReconcileTables(**(frames | changes))


@dataclass(frozen=True)
class Reconciled:
    """Every frame that the reconciliation of some periods makes."""

    pairs: pl.DataFrame
    sources: pl.DataFrame
    valued: pl.DataFrame
    valuation: reconcile.ValuationModel
    reliability: reconcile.ReliabilityModel
    quantities: dict[str, reconcile.ReliabilityModel]
    flows: pl.DataFrame


def reconciled(declarations: pl.DataFrame, completeness: pl.DataFrame, tables: reconcile.ReconcileTables) -> Reconciled:
    """All calls in their order, for declarations of one frequency; each period is paired by itself."""
    periods = sorted(declarations["period"].unique())
    paired = [reconcile.pair(declarations.filter(pl.col("period") == p), completeness, tables) for p in periods]
    sources = [reconcile.cif_sources(result.pairs, tables) for result in paired]
    shares = pl.concat(sources).group_by("cif_source").agg(value_usd=pl.col("importer_value_usd").sum())
    training = pl.concat(reconcile.valuation_training(source) for source in sources)
    frequency = declarations["frequency"][0]
    valuation = reconcile.fit_valuation(training, shares.sort("cif_source"), frequency, tables)
    valued = [reconcile.apply_valuation(result.pairs, valuation, tables) for result in paired]
    reliability = reconcile.fit_reliability(pl.concat(reconcile.reliability_training(v) for v in valued))
    trained = [reconcile.quantity_training(v) for v in valued]
    measures = (reconcile.NET_WEIGHT, reconcile.UNIT_VALUE)
    quantities = {m: reconcile.fit_reliability(pl.concat(rows[m] for rows in trained)) for m in measures}
    return Reconciled(
        pairs=pl.concat(result.pairs for result in paired),
        sources=pl.concat(result.sources for result in paired),
        valued=pl.concat(valued),
        valuation=valuation,
        reliability=reliability,
        quantities=quantities,
        flows=pl.concat(reconcile.reconcile_quantities(reconcile.estimate(v, reliability), quantities) for v in valued),
    )


def gaps_between(
    i: np.ndarray,
    j: np.ndarray,
    chapters: Sequence[str],
    gap: np.ndarray,
    frequency: str = "A",
    year: int | np.ndarray = 2019,
) -> pl.DataFrame:
    """Training rows (schema RELIABILITY_TRAINING) of numbered exporters and importers (0 is 001), all neighbours."""
    ends = {role: [f"{n + 1:03d}" for n in numbers] for role, numbers in (("exporter", i), ("importer", j))}
    return pl.DataFrame(
        {
            "frequency": [frequency] * i.size,
            "year": np.broadcast_to(year, i.size),
            **{f"{role}_code": codes for role, codes in ends.items()},
            **{f"{role}_iso3": [f"P{code[1:]}" for code in codes] for role, codes in ends.items()},
            "chapter_code": chapters,
            "gap_log_ratio": gap,
            "extra_variance": np.zeros(i.size),
            "previous_month_ratio": [None] * i.size,
            "distance_km": [None] * i.size,
            "is_contiguous": [True] * i.size,
        },
        schema=dict(RELIABILITY_TRAINING),
    )
