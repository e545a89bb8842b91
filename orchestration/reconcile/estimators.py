"""Estimators: how two reports of a flow become one value.

Belongs here: the interface, the default estimator and the four practices it is compared with. Does not belong here:
corrections (`reports`), intervals and the published row (`estimate`). Every estimator takes the same frame and returns
the same columns, so that a user can choose and compare.
"""

from __future__ import annotations

from typing import Protocol

import polars as pl

from orchestration.reconcile.reliability import ReliabilityModel
from orchestration.reconcile.reports import WORKING_COLUMNS, gap_variance, with_reports

METHOD_VERSION = "3"


class Estimator(Protocol):
    """What every estimator gives: a name, a version, and its columns beside the valued pairs."""

    @property
    def name(self) -> str:
        """Name that stands in every row."""

    @property
    def version(self) -> str:
        """Version that stands in every row."""

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add ln_value_log, sd_log, tail_ratio, is_sd_inflated, both weight ratios, z_score, and the parameters used.

        tail_ratio widens the 90 % interval over that of a normal with sd_log; is_sd_inflated says that sd_log holds
        the factor max(1, |z|).
        """


class VarianceComponents:
    """Precision-weighted mean, in logarithms, of the two bias-corrected reports: the default.

    The chapter effect is a property of neither side and is split evenly. sd^2 = max(1, z^2) / (1/s2x + 1/s2m): two
    reports that contradict each other more than their variances allow widen the interval. One-sided: that reporter's
    own sigma, and for the 90 % interval the tails that two-sided pairs of the window show, since nothing contradicts
    a report that stands alone. Where timing moved the importer's report, both share an error of the exporter and the
    mean is the generalised one. Source: reconciliation step S7.
    """

    name = "variance_components"
    version = METHOD_VERSION

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add the estimate in logarithms; NULL where no side is positive."""
        rows = with_reports(valued, model)
        weight = ((pl.col("_vm") - pl.col("_shared")) / gap_variance()).clip(0.0, 1.0)
        variance = (pl.col("_vx") * pl.col("_vm") - pl.col("_shared") ** 2) / gap_variance()
        inflation = pl.max_horizontal(pl.lit(1.0), pl.col("z_score").abs())
        rows = rows.with_columns(exporter_weight_ratio=_where_sides(weight, pl.lit(1.0), pl.lit(0.0)))
        rows = rows.with_columns(importer_weight_ratio=1.0 - pl.col("exporter_weight_ratio"))
        return _finished(
            rows.with_columns(
                ln_value_log=_where_sides(_mean_log("_x", "_m"), pl.col("_x"), pl.col("_m")),
                sd_log=_where_sides(inflation * variance.sqrt(), pl.col("_vx").sqrt(), pl.col("_vm").sqrt()),
                is_sd_inflated=_both(),
            )
        )


class ExporterFirst:
    """The exporter's report as filed, the importer's where there is none.

    The practice of whoever holds an exporter to know its goods best; no bias is taken off.
    """

    name = "exporter_first"
    version = METHOD_VERSION

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add the estimate in logarithms; NULL where no side is positive."""
        return _plain(with_reports(valued, model), pl.lit(1.0))


class ImporterFirst:
    """The importer's report taken to FOB, the exporter's where there is none.

    The practice of the IMF's Direction of Trade Statistics and of Feenstra and others (2005): duties make importers
    look closely. No bias is taken off.
    """

    name = "importer_first"
    version = METHOD_VERSION

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add the estimate in logarithms; NULL where no side is positive."""
        return _plain(with_reports(valued, model), pl.lit(0.0))


class GeometricMean:
    """Both reports weigh the same, in logarithms, the importer's taken to FOB; no bias is taken off."""

    name = "geometric_mean"
    version = METHOD_VERSION

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add the estimate in logarithms; NULL where no side is positive."""
        return _plain(with_reports(valued, model), pl.lit(0.5))


class Baci:
    """Gaulier and Zignago's weights (CEPII 2010-23, section 2.4), as we read them.

    The absolute log ratio of mirror flows is decomposed into a reporting distance of each exporter and importer
    (`distance_log` of the reliability table); a report weighs by the other side's share of the two distances. The mean
    is arithmetic, in FOB values; no bias is taken off. BACI publishes no interval: the one here is that of the same
    weights under our variances.
    """

    name = "baci"
    version = METHOD_VERSION

    def estimate(self, valued: pl.DataFrame, model: ReliabilityModel) -> pl.DataFrame:
        """Add the estimate in logarithms; NULL where no side is positive."""
        rows = with_reports(valued, model)
        exporter, importer = pl.col("_exporter_distance"), pl.col("_importer_distance")
        return _plain(rows, importer / (exporter + importer), is_arithmetic=True)


ESTIMATORS: dict[str, type[Estimator]] = {
    kind.name: kind for kind in (VarianceComponents, Baci, ExporterFirst, ImporterFirst, GeometricMean)
}


def _plain(rows: pl.DataFrame, weight: pl.Expr, is_arithmetic: bool = False) -> pl.DataFrame:
    """A weighted mean of the two FOB reports as filed, normal in logarithms with the variances of this weight."""
    rows = rows.with_columns(
        exporter_weight_ratio=_where_sides(weight, pl.lit(1.0), pl.lit(0.0)),
        _filed_x=pl.when(pl.col("exporter_fob_usd") > 0).then(pl.col("exporter_fob_usd").log()),
        _filed_m=pl.when(pl.col("importer_fob_usd") > 0).then(pl.col("importer_fob_usd").log()),
    )
    w, v = pl.col("exporter_weight_ratio"), pl.col("importer_weight_ratio")
    mean = _mean_log("_filed_x", "_filed_m")
    if is_arithmetic:
        mean = (w * pl.col("exporter_fob_usd") + v * pl.col("importer_fob_usd")).log()
    variance = w**2 * pl.col("_vx") + v**2 * pl.col("_vm") + 2 * w * v * pl.col("_shared")
    rows = rows.with_columns(importer_weight_ratio=1.0 - w).with_columns(
        ln_value_log=_where_sides(mean, pl.col("_filed_x"), pl.col("_filed_m")),
        sd_log=_where_sides(variance.sqrt(), pl.col("_vx").sqrt(), pl.col("_vm").sqrt()),
        is_sd_inflated=pl.lit(False),
    )
    return _finished(rows.drop("_filed_x", "_filed_m"))


def _both() -> pl.Expr:
    return pl.col("_x").is_not_null() & pl.col("_m").is_not_null()


def _where_sides(both: pl.Expr, exporter: pl.Expr, importer: pl.Expr) -> pl.Expr:
    """One expression for two-sided flows, one for each kind of one-sided ones; NULL where no side is positive."""
    one = pl.when(pl.col("_x").is_not_null()).then(exporter).when(pl.col("_m").is_not_null()).then(importer)
    return pl.when(_both()).then(both).otherwise(one)


def _mean_log(exporter: str, importer: str) -> pl.Expr:
    return pl.col("exporter_weight_ratio") * pl.col(exporter) + pl.col("importer_weight_ratio") * pl.col(importer)


def _finished(rows: pl.DataFrame) -> pl.DataFrame:
    tail = pl.when(_both()).then(pl.lit(1.0)).otherwise("_tail")
    return rows.with_columns(tail_ratio=tail).drop(*WORKING_COLUMNS)
