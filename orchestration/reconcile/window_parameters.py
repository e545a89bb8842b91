"""The fitted parameters of one window as arrays, so that a flow takes its own by place and no join is made.

Belongs here: which parameter a row takes where the fit has none of its reporter or chapter. Does not belong here:
fitting (`reliability`), what is made of the parameters (`reports`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from orchestration.reconcile.arrival_frames import no_lags
from orchestration.reconcile.effects_design import Array, Index
from orchestration.reconcile.numbering import place_among
from orchestration.reconcile.variance_fit import PRIOR_BIAS_VARIANCE

ROLES = ("exporter", "importer")
DEFAULT_SIGMA_LOG = 0.5
Window = tuple[str, int]


@dataclass(frozen=True)
class RoleParameters:
    """Parameters of one role: a line per code, and the last line for a reporter never seen two-sided.

    sigma_log has a column per chapter, and the last column for a chapter of which the reporter has too few pairs.
    """

    codes: pl.Series
    bias_log: Array
    bias_se_log: Array
    distance_log: Array
    sigma_log: Array


@dataclass(frozen=True)
class WindowParameters:
    """Parameters of one frequency and window; effect_log has a last line for a chapter never seen."""

    roles: Mapping[str, RoleParameters]
    chapters: pl.Series
    effect_log: Array
    tail_ratio: float
    lags: pl.DataFrame

    def columns(self, rows: pl.DataFrame) -> list[pl.Series]:
        """What each row (exporter_code, importer_code, chapter_code) takes: biases, sigmas, chapter effect, tail."""
        chapter = places(rows["chapter_code"], self.chapters)
        found: dict[str, Array] = {
            "chapter_effect_log": self.effect_log[chapter],
            "_tail": np.full(rows.height, self.tail_ratio),
        }
        for role, own in self.roles.items():
            reporter = places(rows[f"{role}_code"], own.codes)
            found |= {
                f"{role}_bias_log": own.bias_log[reporter],
                f"_{role}_bias_se": own.bias_se_log[reporter],
                f"_{role}_distance": own.distance_log[reporter],
                f"{role}_sigma_log": own.sigma_log[reporter, chapter],
            }
        return [pl.Series(name, values) for name, values in found.items()]


def places(column: pl.Series, names: pl.Series) -> Index:
    """Place of each value among sorted names, their number for a value that is none of them."""
    return place_among(names, column).fill_null(len(names)).to_numpy()


def windows_of(tables: Mapping[str, pl.DataFrame]) -> dict[Window, WindowParameters]:
    """Parameters of every window of the fitted tables (reliability, chapter_sigmas, chapter_effects, pooled, and
    arrival_lags); a window that only some of them have takes defaults for the rest.
    """
    parts = {name: _by_window(table) for name, table in tables.items()}
    keys = sorted({key for own in parts.values() for key in own})
    return {key: _window({name: own.get(key, tables[name].clear()) for name, own in parts.items()}) for key in keys}


def no_window() -> WindowParameters:
    """Where no window was fitted: no bias, a default sigma, nothing moves."""
    none = pl.Series(dtype=pl.String)
    role = _role(none, np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, 1)), DEFAULT_SIGMA_LOG)
    return WindowParameters(dict.fromkeys(ROLES, role), none, np.zeros(1), 1.0, no_lags())


def _by_window(table: pl.DataFrame) -> dict[Window, pl.DataFrame]:
    parts = table.partition_by("frequency", "window_end_year", as_dict=True, maintain_order=True)
    return {(str(frequency), int(year)): part for (frequency, year), part in parts.items()}


def _window(tables: Mapping[str, pl.DataFrame]) -> WindowParameters:
    pooled = {row["role"]: row for row in tables["pooled"].iter_rows(named=True)}
    effects = tables["chapter_effects"].sort("chapter_code")
    chapters = pl.concat([effects["chapter_code"], tables["chapter_sigmas"]["chapter_code"]]).unique().sort()
    default = pooled.get("exporter", {"chapter_effect_log": 0.0, "tail_ratio": 1.0})
    effect_log = np.full(len(chapters) + 1, float(default["chapter_effect_log"]))
    effect_log[places(effects["chapter_code"], chapters)] = effects["effect_log"].to_numpy()
    roles = {}
    for role in ROLES:
        own = tables["reliability"].filter(pl.col("role") == role).sort("reporter_code")
        codes = own["reporter_code"]
        sigma = np.repeat(own["sigma_log"].to_numpy()[:, None], len(chapters) + 1, axis=1)
        finer = tables["chapter_sigmas"].filter(
            (pl.col("role") == role) & pl.col("reporter_code").is_in(codes.implode())
        )
        sigma[places(finer["reporter_code"], codes), places(finer["chapter_code"], chapters)] = finer[
            "sigma_log"
        ].to_numpy()
        unseen = float(pooled[role]["sigma_log"]) if role in pooled else DEFAULT_SIGMA_LOG
        bias, bias_se, distance = (own[name].to_numpy() for name in ("bias_log", "bias_se_log", "distance_log"))
        roles[role] = _role(codes, bias, bias_se, distance, sigma, unseen)
    return WindowParameters(roles, chapters, effect_log, float(default["tail_ratio"]), tables["arrival_lags"])


def _role(
    codes: pl.Series, bias: Array, bias_se: Array, distance: Array, sigma: Array, unseen_sigma: float
) -> RoleParameters:
    return RoleParameters(
        codes=codes,
        bias_log=np.append(bias, 0.0),
        bias_se_log=np.append(bias_se, PRIOR_BIAS_VARIANCE**0.5),
        distance_log=np.append(distance, DEFAULT_SIGMA_LOG),
        sigma_log=np.vstack([sigma, np.full((1, sigma.shape[1]), unseen_sigma)]),
    )
