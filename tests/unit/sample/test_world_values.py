"""Effects that change declared values: each is there when it is alone in a world, and absent when it is off.

In the plain world everybody declares the truth, so whatever differs from it is the effect.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import spearmanr

from orchestration.reference import load_reference
from tests.unit.sample.worlds import PAIR, PLAIN, Worlds, against_truth, alone, log_ratio, side

YEAR, MONTH = "A-2023", "M-202305"
ROLE_OF = {"X": "exporter", "M": "importer"}


def _errors(worlds: Worlds, *effects: str, key: str = YEAR) -> pl.DataFrame:
    """Log error of every declared cell in a world of these effects; columns reporter_code, role, log_ratio."""
    delivery = worlds.kept(alone(*effects), key)
    return pl.concat(
        log_ratio(delivery, flow).select(*PAIR, "reporter_code", "log_ratio", role=pl.lit(role))
        for flow, role in ROLE_OF.items()
    )


def _spread(errors: pl.DataFrame) -> pl.DataFrame:
    return errors.group_by("reporter_code", "role").agg(pl.len(), sd=pl.col("log_ratio").std())


@pytest.mark.parametrize("key", [YEAR, MONTH])
@pytest.mark.parametrize("flow", ["X", "M"])
def test_everybody_declares_the_truth_when_every_effect_is_off(worlds: Worlds, key: str, flow: str) -> None:
    delivery = worlds.kept(PLAIN, key)
    declared = against_truth(delivery, flow)
    assert declared["value_usd"].null_count() == 0
    assert (declared["value_usd"] - declared["true_fob_usd"]).abs().max() < 1e-6
    assert (declared["kg"] - declared["true_kg"]).abs().max() < 1e-5
    assert delivery.declared.height == 2 * declared.height


def test_errors_are_lognormal_with_the_reporters_own_spread_when_reporting_error_is_on(worlds: Worlds) -> None:
    errors = _errors(worlds, "reporting_error")
    truth = worlds.lasting(alone("reporting_error"))["reporter_error"]
    both = errors.join(truth, on=["reporter_code", "role"])
    standard = (both["log_ratio"] / both["sigma_log"]).to_numpy()
    assert both.filter(pl.col("bias_log") != 0).height == 0
    assert abs(standard.mean()) < 0.05
    assert standard.std() == pytest.approx(1.0, abs=0.03)
    assert np.mean(np.abs(standard) < 1) == pytest.approx(0.683, abs=0.02)
    assert np.mean(np.abs(standard) < 2) == pytest.approx(0.954, abs=0.01)
    for role in ("exporter", "importer"):
        spread = _spread(errors).filter((pl.col("role") == role) & (pl.col("len") >= 30))
        spread = spread.join(truth, on=["reporter_code", "role"])
        assert spread.height > 30
        assert spearmanr(spread["sd"], spread["sigma_log"]).statistic > 0.95
        assert spread["sigma_log"].max() > 5 * spread["sigma_log"].min()


def test_errors_of_the_two_ends_are_independent_when_reporting_error_is_on(worlds: Worlds) -> None:
    errors = _errors(worlds, "reporting_error").pivot("role", index=PAIR, values="log_ratio").drop_nulls()
    assert abs(spearmanr(errors["exporter"], errors["importer"]).statistic) < 0.05


def test_part_of_an_error_lasts_when_two_years_are_compared(worlds: Worlds) -> None:
    one, two = (_errors(worlds, "reporting_error", key=key) for key in (YEAR, "A-2024"))
    both = one.join(two, on=[*PAIR, "role"], suffix="_next")
    assert spearmanr(both["log_ratio"], both["log_ratio_next"]).statistic == pytest.approx(0.3, abs=0.1)


def test_some_reporters_are_bad_in_one_role_only_when_one_role_reporters_are_on(worlds: Worlds) -> None:
    on = _spread(_errors(worlds, "reporting_error", "one_role_reporters"))
    off = _spread(_errors(worlds, "reporting_error"))
    both = on.join(off, on=["reporter_code", "role"], suffix="_off").with_columns(times=pl.col("sd") / pl.col("sd_off"))
    worse = both.filter(pl.col("times") > 1.001)
    assert worse["reporter_code"].n_unique() == worse.height
    assert set(worse["role"]) == {"exporter", "importer"}
    assert worse["sd"].min() > 0.25
    others = both.join(worse, on=["reporter_code", "role"], how="anti")
    assert (others["times"] - 1).abs().max() < 1e-9


def test_every_reporter_is_off_by_a_lasting_factor_per_role_when_bias_is_on(worlds: Worlds) -> None:
    truth = worlds.lasting(alone("persistent_bias"))["reporter_error"]
    assert truth["bias_log"].abs().min() > 0
    assert truth["sigma_log"].abs().max() == 0
    roles = truth.pivot("role", index="reporter_code", values="bias_log")
    assert abs(spearmanr(roles["exporter"], roles["importer"]).statistic) < 0.4
    for key in (YEAR, MONTH, "A-2018"):
        delivery = worlds.made(alone("persistent_bias"), key)
        for flow, role in ROLE_OF.items():
            biases = log_ratio(delivery, flow).join(
                truth.filter(pl.col("role") == role), left_on="reporter_code", right_on="reporter_code"
            )
            assert biases.height > (0 if key == "A-2018" else 1_000)
            assert (biases["log_ratio"] - biases["bias_log"]).abs().quantile(0.9) < 1e-5


def test_few_rows_are_wrong_by_ten_when_gross_errors_are_on(worlds: Worlds) -> None:
    errors = _errors(worlds, "gross_errors")["log_ratio"]
    wrong = errors.filter(errors.abs() > 1e-5)
    assert 0.002 < wrong.len() / errors.len() < 0.012
    assert sorted(set((wrong / np.log(10)).round(4))) == [-1.0, 1.0]


def _margins(worlds: Worlds, *effects: str) -> pl.DataFrame:
    """Import declarations with their true margin, distance in km and unit value."""
    config = alone(*effects)
    world = worlds.world(config)
    codes = pl.Series([f"{code:03d}" for code in world.places.code[: world.places.trader_count].tolist()])
    number = pl.int_range(codes.len())
    position = pl.DataFrame({"code": codes}).with_columns(index=number)
    margin = log_ratio(worlds.kept(config, YEAR), "M").join(worlds.lasting(config)["cif_margin"], on=PAIR)
    margin = margin.join(position.rename({"code": "exporter_code", "index": "row"}), on="exporter_code")
    margin = margin.join(position.rename({"code": "importer_code", "index": "column"}), on="importer_code")
    km = world.places.distance_km[margin["row"].to_numpy(), margin["column"].to_numpy()]
    return margin.with_columns(km=pl.Series(km), unit_value=pl.col("true_fob_usd") / pl.col("true_kg"))


def test_imports_carry_a_margin_by_distance_and_product_when_cif_is_on(worlds: Worlds) -> None:
    margins = _margins(worlds, "cif_margin")
    assert (margins["log_ratio"] - margins["cif_margin_log"]).abs().quantile(0.99) < 1e-4
    assert 0.02 < margins["cif_margin_log"].mean() < 0.08
    assert margins["cif_margin_log"].min() > 0
    assert margins["cif_margin_log"].max() <= 0.25
    assert spearmanr(margins["km"], margins["log_ratio"]).statistic > 0.3
    same_route = margins.filter(pl.col("km").is_between(5_000, 9_000))
    assert spearmanr(same_route["unit_value"], same_route["log_ratio"]).statistic < -0.2
    far, near = margins.filter(pl.col("km") > 8_000), margins.filter(pl.col("km") < 1_000)
    assert far["log_ratio"].mean() > near["log_ratio"].mean() + 0.01


def test_exports_carry_no_margin_when_cif_is_on(worlds: Worlds) -> None:
    exports = against_truth(worlds.kept(alone("cif_margin"), YEAR), "X")
    assert (exports["value_usd"] - exports["true_fob_usd"]).abs().max() < 1e-6
    assert exports["fob"].equals(exports["value_usd"])


def _fob_importers(seeds_dir: Path, year: int) -> set[str]:
    table = load_reference(seeds_dir).valuation_by_reporter_year
    during = (pl.col("year_from") <= year) & (pl.col("year_to").fill_null(9999) >= year)
    fob = (pl.col("flow_code") == "M") & (pl.col("valuation") == "FOB")
    return set(table.filter(during & fob)["reporter_code"])


def test_importers_of_the_valuation_table_file_fob_when_they_are_on(worlds: Worlds, seeds_dir: Path) -> None:
    on = against_truth(worlds.kept(alone("cif_margin", "fob_importers"), YEAR), "M")
    is_fob = pl.col("importer_code").is_in(_fob_importers(seeds_dir, 2023))
    fob, cif = on.filter(is_fob), on.filter(~is_fob)
    assert fob["importer_code"].n_unique() >= 3
    assert (fob["value_usd"] - fob["true_fob_usd"]).abs().max() < 1e-6
    assert fob["fob"].equals(fob["value_usd"])
    assert fob["cif"].fill_null(0).max() == 0
    assert cif["cif"].equals(cif["value_usd"])
    assert cif["fob"].fill_null(0).max() == 0
    off = against_truth(worlds.kept(alone("cif_margin"), YEAR), "M")
    assert off["cif"].equals(off["value_usd"])


def test_some_importers_file_both_values_when_observed_margins_are_on(worlds: Worlds) -> None:
    config = alone("cif_margin", "observed_margin")
    margin = worlds.lasting(config)["cif_margin"]
    on = against_truth(worlds.kept(config, YEAR), "M").join(margin, on=PAIR)
    both = on.filter(pl.col("fob").fill_null(0) > 0)
    assert 5 <= both["importer_code"].n_unique() <= 30
    assert on.filter(pl.col("importer_code").is_in(both["importer_code"].implode())).height == both.height
    assert both["cif"].equals(both["value_usd"])
    large = both.filter(pl.col("fob") > 1_000)
    observed = (large["cif"] / large["fob"]).log()
    assert (observed - large["cif_margin_log"]).abs().max() < 1e-5
    off = against_truth(worlds.kept(alone("cif_margin"), YEAR), "M")
    assert off["fob"].fill_null(0).max() == 0


def test_some_reporters_write_zero_for_absent_when_that_is_on(worlds: Worlds) -> None:
    on = worlds.made(alone("absent_fob_as_zero"), YEAR).declared
    off = worlds.kept(PLAIN, YEAR).declared
    imports = on.filter(pl.col("flowCode") == "M")
    assert {True, False} == set(imports["fobvalue"].is_null())
    per_reporter = imports.group_by("reporterCode").agg(pl.col("fobvalue").is_null().n_unique())
    assert set(per_reporter["fobvalue"]) == {1}
    assert off.filter((pl.col("fobvalue") == 0) | (pl.col("cifvalue") == 0)).height == 0
    zeros = ("cifvalue", "fobvalue", "qty", "altQty", "netWgt", "grossWgt")
    assert on.with_columns(pl.col(zeros).fill_null(0)).equals(off.with_columns(pl.col(zeros).fill_null(0)))


def test_goods_that_sail_arrive_a_month_later_when_timing_lag_is_on(worlds: Worlds) -> None:
    config = alone("timing_lag")
    share = worlds.lasting(config)["cif_margin"].select(*PAIR, "lag_share_ratio")
    before = worlds.kept(PLAIN, "M-202304").truth["true_flow"].select(*PAIR, before="true_fob_usd")
    now = worlds.kept(PLAIN, MONTH).truth["true_flow"].select(*PAIR, now="true_fob_usd")
    cells = share.join(now, on=PAIR, how="left").join(before, on=PAIR, how="left")
    delivery = worlds.made(config, MONTH)
    cells = cells.join(side(delivery.declared, "M"), on=PAIR, how="left").fill_null(0.0)
    late = pl.col("lag_share_ratio")
    wanted = cells.select(arrived=pl.col("now") + late * (pl.col("before") - pl.col("now")))["arrived"]
    assert (cells["value_usd"] - wanted).abs().max() < 0.01
    assert cells.filter(late == 0).height > 100
    assert 0.4 < cells["lag_share_ratio"].max() <= 0.6
    moved = cells.filter((late > 0.2) & (pl.col("before") == 0) & (pl.col("now") > 0))
    assert (moved["value_usd"] < 0.81 * moved["now"]).all()
    exports = against_truth(delivery, "X")
    assert (exports["value_usd"] - exports["true_fob_usd"]).abs().max() < 1e-6


def test_a_year_is_late_by_its_last_month_only_when_timing_lag_is_on(worlds: Worlds) -> None:
    ratio = log_ratio(worlds.made(alone("timing_lag"), YEAR), "M")
    large = ratio.filter(pl.col("true_fob_usd") > 1e6)["log_ratio"].abs()
    assert 0 < large.mean() < 0.05
    assert worlds.lasting(PLAIN)["cif_margin"]["lag_share_ratio"].max() == 0
