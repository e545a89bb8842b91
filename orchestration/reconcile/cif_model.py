"""The model of the margin between CIF and FOB, and its card.

Belongs here: the training rows, the robust fit, prediction, standard errors, the published fallback.
Does not belong here: which pairs need a modelled margin (`valuation`). The fit never sees the sign of a gap: every
two-sided pair with reported weights counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from orchestration.reconcile.schema import CIF_MODEL, PAIRS, VALUATION_TRAINING, conform, require
from orchestration.reconcile.tables import ReconcileTables

METHOD_NAME = "huber_gravity"
MAXIMUM_RATE_LOG = 0.30
MINIMUM_OBSERVATIONS = 500
MINIMUM_PER_EFFECT = 30
TRAINING_ROWS_PER_PERIOD = 6_000
HUBER_TUNING = 1.345
ITERATIONS = 25
PUBLISHED_MODEL = "baci_2010_model_2"
TERMS = (
    "constant",
    "ln_distance",
    "ln_distance_squared",
    "contiguity",
    "landlocked_exporter",
    "landlocked_importer",
    "ln_world_unit_value",
)
Array = npt.NDArray[np.float64]


def valuation_training(pairs_with_source: pl.DataFrame) -> pl.DataFrame:
    """Rows of one period that can teach the margin, at most TRAINING_ROWS_PER_PERIOD of them.

    Args: pairs (schema PAIRS) with cif_source and observed_rate_log, as `valuation.cif_sources` returns them.
    Returns: schema VALUATION_TRAINING. margin_log is ln(UV importer / UV exporter) from reported kg, or the observed
    rate with weight 1; left-out pairs and importers that file FOB never train. The bound keeps every n-th row in
    key order: deterministic, and blind to values. Source: reconciliation step S4.
    """
    require(pairs_with_source, (*PAIRS, "cif_source", "observed_rate_log"), "the pairs frame")
    qx, qm = pl.col("exporter_net_weight_kg"), pl.col("importer_net_weight_kg")
    x, m = pl.col("exporter_value_usd"), pl.col("importer_value_usd")
    weighed = (
        (pl.col("status") == "two_sided")
        & (pl.col("cif_source") == "modelled")
        & (qx > 0)
        & (qm > 0)
        & (x > 0)
        & (m > 0)
        & ~pl.col("exporter_is_weight_estimated")
        & ~pl.col("importer_is_weight_estimated")
    )
    observed = (pl.col("cif_source") == "observed") & pl.col("observed_rate_log").is_not_null()
    rows = pairs_with_source.filter(
        ~pl.col("is_left_out") & (weighed.fill_null(False) | observed.fill_null(False))
    ).with_columns(
        year=pl.col("period_start").dt.year().cast(pl.Int64),
        margin_log=pl.when(pl.col("cif_source") == "observed")
        .then(pl.col("observed_rate_log"))
        .otherwise((m / qm).log() - (x / qx).log()),
        unit_value_usd_kg=pl.coalesce(pl.when(qm > 0).then(m / qm), pl.when(qx > 0).then(x / qx)),
        weight=pl.when(pl.col("cif_source") == "observed")
        .then(pl.lit(1.0))
        .otherwise(pl.min_horizontal(qx, qm) / pl.max_horizontal(qx, qm)),
    )
    ordered = conform(rows, VALUATION_TRAINING, ("exporter_code", "importer_code", "product_code"))
    return ordered.gather_every(-(-ordered.height // TRAINING_ROWS_PER_PERIOD) or 1)


@dataclass(frozen=True)
class ValuationModel:
    """Coefficients, effects and errors of the margin, and the model card (schema CIF_MODEL).

    unit_values: world median unit value (USD per kg) by product; year_effects and chapter_effects are centred, so
    that an unseen year or chapter gets none.
    """

    coefficients: dict[str, float]
    covariance: Array
    unit_values: pl.DataFrame
    default_ln_unit_value: float
    year_effects: pl.DataFrame
    chapter_effects: pl.DataFrame
    card: pl.DataFrame

    def predict(self, rows: pl.DataFrame, tables: ReconcileTables) -> pl.DataFrame:
        """Add modelled_rate_log (unclipped) and modelled_rate_se_log to pairs that carry `year`."""
        facts = _regressors(rows, tables, self.unit_values, self.default_ln_unit_value)
        facts = facts.join(self.year_effects, on="year", how="left").join(
            self.chapter_effects, on="chapter_code", how="left"
        )
        design = _design(facts)
        beta = np.array([self.coefficients[t] for t in TERMS])
        effects = facts.select(
            pl.col("year_effect_log").fill_null(0.0) + pl.col("chapter_effect_margin_log").fill_null(0.0)
        ).to_series()
        error = np.sqrt(np.clip(np.einsum("ij,jk,ik->i", design, self.covariance, design), 0.0, None))
        dropped = ["ln_distance", "ln_world_unit_value", "is_contiguous", "is_landlocked_exporter"]
        dropped += ["is_landlocked_importer", "distance_km", "year_effect_log", "chapter_effect_margin_log"]
        return facts.with_columns(
            modelled_rate_log=pl.Series(design @ beta) + effects,
            modelled_rate_se_log=pl.Series(error),
        ).drop(dropped)


def fit_valuation(
    training: pl.DataFrame, shares: pl.DataFrame, frequency: str, tables: ReconcileTables
) -> ValuationModel:
    """Robust gravity model of the margin for one frequency.

    Args: training (schema VALUATION_TRAINING) of all periods; shares with cif_source and value_usd, the importer
    value by source, for the card. Huber weights times the quantity agreement min(Q)/max(Q); outliers by Cook's
    distance (4/N) are dropped once and the model refitted. With fewer than MINIMUM_OBSERVATIONS rows the published
    coefficients stand and the card says so. Source: reconciliation step S4; Gaulier & Zignago (2010), model II.
    """
    require(training, VALUATION_TRAINING, "the training frame")
    rows = training.filter(pl.col("frequency") == frequency)
    unit_values, default = _world_unit_values(rows)
    facts = _regressors(rows, tables, unit_values, default).filter(pl.col("distance_km").is_not_null())
    published = _published(tables)
    if facts.height < MINIMUM_OBSERVATIONS:
        return _published_model(published, unit_values, default, frequency, shares, facts.height)
    years, chapters = _effect_levels(facts, "year"), _effect_levels(facts, "chapter_code")
    design = np.hstack([_design(facts), _dummies(facts, "year", years), _dummies(facts, "chapter_code", chapters)])
    target, weight = facts["margin_log"].to_numpy(), facts["weight"].to_numpy()
    beta, _, robust = _huber(design, target, weight)
    keep = _cooks_distance(design, target, beta, robust) <= 4.0 / len(target)
    beta, covariance, robust = _huber(design[keep], target[keep], weight[keep])
    residual = target[keep] - design[keep] @ beta
    return _assemble(beta, covariance, residual, years, chapters, published, unit_values, default, frequency, shares)


def _regressors(rows: pl.DataFrame, tables: ReconcileTables, unit_values: pl.DataFrame, default: float) -> pl.DataFrame:
    facts = tables.corridor_facts(rows)
    return (
        rows.join(facts, on=["exporter_code", "importer_code"], how="left", maintain_order="left")
        .join(unit_values, on="product_code", how="left", maintain_order="left")
        .with_columns(
            ln_distance=pl.col("distance_km").log(),
            ln_world_unit_value=pl.col("ln_world_unit_value").fill_null(default),
        )
    )


def _design(facts: pl.DataFrame) -> Array:
    typical = np.log(5000.0)
    d = facts["ln_distance"].fill_null(typical).to_numpy().astype(np.float64)
    flags = [
        facts[name].fill_null(False).cast(pl.Float64).to_numpy()
        for name in ("is_contiguous", "is_landlocked_exporter", "is_landlocked_importer")
    ]
    u = facts["ln_world_unit_value"].to_numpy().astype(np.float64)
    return np.column_stack([np.ones_like(d), d, d**2, *flags, u])


def _world_unit_values(rows: pl.DataFrame) -> tuple[pl.DataFrame, float]:
    """World median unit value by product (ln USD per kg), and the median over all."""
    positive = rows.filter(pl.col("unit_value_usd_kg") > 0)
    table = positive.group_by("product_code").agg(
        pl.col("unit_value_usd_kg").median().log().alias("ln_world_unit_value")
    )
    middle = positive["unit_value_usd_kg"].median()
    return table.sort("product_code"), float(np.log(middle)) if isinstance(middle, float) else 0.0


def _effect_levels(facts: pl.DataFrame, column: str) -> list[object]:
    """Levels with enough rows for an effect of their own; the first is the reference."""
    counted = facts.group_by(column).len().filter(pl.col("len") >= MINIMUM_PER_EFFECT).sort(column)
    return list(counted[column].to_list())


def _dummies(facts: pl.DataFrame, column: str, levels: Sequence[object]) -> Array:
    values = facts[column].to_numpy()
    columns = [(values == level).astype(np.float64) for level in levels[1:]]
    return np.column_stack(columns) if columns else np.empty((facts.height, 0))


def _huber(design: Array, target: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Iteratively reweighted least squares with Huber weights.

    Own loop of a few lines because the prior weights (quantity agreement) must multiply the robust ones and the
    normal equations of 100 columns are solved in place. Returns coefficients, covariance, final weights.
    """
    robust = weight.copy()
    beta: Array = np.zeros(design.shape[1])
    for _ in range(ITERATIONS):
        gram = (design * robust[:, None]).T @ design
        new = np.asarray(np.linalg.lstsq(gram, (design * robust[:, None]).T @ target, rcond=None)[0], dtype=np.float64)
        residual = target - design @ new
        scale = max(float(np.median(np.abs(residual))) / 0.6745, 1e-9)
        robust = weight * np.minimum(1.0, HUBER_TUNING * scale / np.maximum(np.abs(residual), 1e-12))
        moved = float(np.max(np.abs(new - beta)))
        beta = np.asarray(new, dtype=np.float64)
        if moved < 1e-8:
            break
    gram = (design * robust[:, None]).T @ design
    freedom = max(len(target) - design.shape[1], 1)
    variance = float(np.sum(robust * residual**2)) / freedom
    return beta, np.linalg.pinv(gram) * variance, robust


def _cooks_distance(design: Array, target: Array, beta: Array, robust: Array) -> Array:
    inverse = np.linalg.pinv((design * robust[:, None]).T @ design)
    leverage = np.clip(robust * np.einsum("ij,jk,ik->i", design, inverse, design), 0.0, 0.999)
    residual = target - design @ beta
    variance = max(float(np.average(residual**2, weights=robust)), 1e-12)
    distance: Array = robust * residual**2 / (design.shape[1] * variance) * leverage / (1 - leverage) ** 2
    return distance


def _assemble(
    beta: Array,
    covariance: Array,
    residual: Array,
    years: list[object],
    chapters: list[object],
    published: dict[str, float],
    unit_values: pl.DataFrame,
    default: float,
    frequency: str,
    shares: pl.DataFrame,
) -> ValuationModel:
    base, n_years = len(TERMS), max(len(years) - 1, 0)
    year_raw = np.concatenate([[0.0], beta[base : base + n_years]]) if years else np.zeros(0)
    chapter_raw = np.concatenate([[0.0], beta[base + n_years :]]) if chapters else np.zeros(0)
    shift = sum(float(raw.mean()) for raw in (year_raw, chapter_raw) if raw.size)
    coefficients = {term: float(value) for term, value in zip(TERMS, beta[:base], strict=True)}
    coefficients["constant"] += shift
    errors = np.sqrt(np.diag(covariance)[:base])
    spread = float(np.median(np.abs(residual)) / 0.6745)
    return ValuationModel(
        coefficients=coefficients,
        covariance=covariance[:base, :base],
        unit_values=unit_values,
        default_ln_unit_value=default,
        year_effects=pl.DataFrame(
            {"year": years, "year_effect_log": year_raw - (year_raw.mean() if year_raw.size else 0.0)},
            schema={"year": pl.Int64, "year_effect_log": pl.Float64},
        ),
        chapter_effects=pl.DataFrame(
            {
                "chapter_code": chapters,
                "chapter_effect_margin_log": chapter_raw - (chapter_raw.mean() if chapter_raw.size else 0.0),
            },
            schema={"chapter_code": pl.String, "chapter_effect_margin_log": pl.Float64},
        ),
        card=_card(coefficients, list(errors), published, len(residual), spread, frequency, shares, METHOD_NAME),
    )


def _published(tables: ReconcileTables) -> dict[str, float]:
    model = tables.published_cif_models.filter(pl.col("model") == PUBLISHED_MODEL)
    return dict(zip(model["term"].to_list(), model["coefficient"].to_list(), strict=True))


def _published_model(
    published: dict[str, float],
    unit_values: pl.DataFrame,
    default: float,
    frequency: str,
    shares: pl.DataFrame,
    found: int,
) -> ValuationModel:
    """The published coefficients, when a run has too few rows to fit its own."""
    coefficients = {term: published[term] for term in TERMS}
    return ValuationModel(
        coefficients=coefficients,
        covariance=np.zeros((len(TERMS), len(TERMS))),
        unit_values=unit_values,
        default_ln_unit_value=default,
        year_effects=pl.DataFrame(schema={"year": pl.Int64, "year_effect_log": pl.Float64}),
        chapter_effects=pl.DataFrame(schema={"chapter_code": pl.String, "chapter_effect_margin_log": pl.Float64}),
        card=_card(coefficients, [None] * len(TERMS), published, found, None, frequency, shares, PUBLISHED_MODEL),
    )


def _card(
    coefficients: dict[str, float],
    errors: Sequence[float | None],
    published: dict[str, float],
    found: int,
    spread: float | None,
    frequency: str,
    shares: pl.DataFrame,
    method: str,
) -> pl.DataFrame:
    total = float(shares["value_usd"].sum() or 0.0)
    by_source = dict(zip(shares["cif_source"].to_list(), shares["value_usd"].to_list(), strict=True))

    def share(source: str) -> float | None:
        return float(by_source.get(source, 0.0)) / total if total > 0 else None

    rows = pl.DataFrame(
        {
            "term": list(TERMS),
            "coefficient": [coefficients[t] for t in TERMS],
            "standard_error": [None if e is None else float(e) for e in errors],
            "published_coefficient": [published.get(t) for t in TERMS],
        },
        schema_overrides={"standard_error": pl.Float64, "published_coefficient": pl.Float64},
    ).with_columns(
        frequency=pl.lit(frequency),
        observation_count=pl.lit(found),
        residual_sd_log=pl.lit(spread, dtype=pl.Float64),
        reported_share_ratio=pl.lit(share("reported"), dtype=pl.Float64),
        observed_share_ratio=pl.lit(share("observed"), dtype=pl.Float64),
        modelled_share_ratio=pl.lit(share("modelled"), dtype=pl.Float64),
        method_name=pl.lit(method),
        method_version=pl.lit("1"),
    )
    return conform(rows, CIF_MODEL, ("frequency", "term"))
