"""The official client against the stand-in: every function of `comtradeapicall` that fetches gets an answer.

The client's addresses are fixed, so its HTTP calls are turned to the stand-in. There is no function that cannot be
answered. What is answered in the stand-in's own way: getSUV gives medians of the rows held, not the source's standard
unit values; tariff lines are the six-digit rows; groups of getTradeMatrixGroup are the roles of the project's places;
asynchronous batches are complete as soon as they are asked for. The client's own waits of 15 seconds are left out.
"""

from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import polars as pl
import pytest
import urllib3

from orchestration.reference import Reference
from orchestration.stand_in import Holdings, KeyLimits, Served, StandIn, serve
from tests.unit.stand_in.asking import KEY

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import comtradeapicall
    import comtradeapicall.Async as client_async
    import comtradeapicall.GroupCalc as client_groups

SOURCE = "https://comtradeapi.un.org"
SET = {"typeCode": "C", "freqCode": "A", "clCode": "HS", "period": "2022"}
ANY = dict.fromkeys(("flowCode", "partnerCode", "partner2Code", "customsCode", "motCode"))
Arguments = dict[str, Any]


@pytest.fixture(scope="module")
def only_asked(all_holdings: Holdings, reference: Reference) -> Iterator[Served]:
    """One served stand-in for every test of this module: the client changes nothing."""
    with serve(StandIn(all_holdings, {KEY: KeyLimits(calls_a_day=None)}, reference=reference)) as served:
        yield served


@pytest.fixture
def client(only_asked: Served, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The official client, its calls turned to that stand-in."""
    plain_request, plain_get = urllib3.PoolManager.request, client_groups.requests.get

    def request(pool: urllib3.PoolManager, method: str, url: str, **options: Any) -> Any:
        return plain_request(pool, method, _turned(url, only_asked), **options)

    def get(url: str, **options: Any) -> Any:
        return plain_get(_turned(url, only_asked), **options)

    monkeypatch.setattr(urllib3.PoolManager, "request", request)
    monkeypatch.setattr(client_groups.requests, "get", get)
    monkeypatch.setattr(client_async, "t", SimpleNamespace(sleep=lambda _: None))
    return comtradeapicall


def _turned(url: str, served: Served) -> str:
    assert url.startswith((SOURCE, served.address)), url
    return url.replace(SOURCE, served.address)


def _data(reporter: int) -> Arguments:
    return {**SET, "reporterCode": str(reporter), "cmdCode": "TOTAL", **ANY}


def _set(reporter: int) -> Arguments:
    return {**SET, "reporterCode": str(reporter)}


def _tool(reporter: int) -> Arguments:
    return {**SET, "reporterCode": str(reporter), "cmdCode": "TOTAL", "partnerCode": None}


def _keyed(make: Callable[[int], Arguments]) -> Callable[[int], Arguments]:
    return lambda reporter: {"subscription_key": KEY, **make(reporter)}


def _without(name: str, make: Callable[[int], Arguments]) -> Callable[[int], Arguments]:
    return lambda reporter: {key: value for key, value in make(reporter).items() if key != name}


def _with(make: Callable[[int], Arguments], **more: Any) -> Callable[[int], Arguments]:
    return lambda reporter: {**make(reporter), **more}


_MATRIX = _without("clCode", _with(_tool, flowCode="M"))
FRAMES: dict[str, Callable[[int], Arguments]] = {
    "previewFinalData": _data,
    "_previewFinalData": _data,
    "previewTarifflineData": _with(_data, cmdCode="AG6"),
    "_previewTarifflineData": _with(_data, cmdCode="AG6"),
    "previewCountFinalData": _data,
    "getFinalData": _keyed(_data),
    "_getFinalData": _keyed(_data),
    "getCountFinalData": _keyed(_data),
    "getTarifflineData": _keyed(_with(_data, cmdCode="AG6")),
    "_getTarifflineData": _keyed(_with(_data, cmdCode="AG6")),
    "getTradeBalance": _keyed(_tool),
    "getBilateralData": _keyed(_with(_tool, flowCode="M")),
    "getTradeMatrix": _keyed(_MATRIX),
    "getTradeMatrixGroup": _keyed(_with(_MATRIX, partnerCode="coalition")),
    "checkAsyncDataRequest": lambda _: {"subscription_key": KEY},
    "_getFinalDataAvailability": _set,
    "_getTarifflineDataAvailability": _set,
    "getFinalDataAvailability": _keyed(_set),
    "getTarifflineDataAvailability": _keyed(_set),
    "getFinalDataBulkAvailability": _keyed(_set),
    "getFinalClassicDataBulkAvailability": _keyed(_set),
    "getTarifflineDataBulkAvailability": _keyed(_set),
    "getLiveUpdate": lambda _: {"subscription_key": KEY},
    "getMetadata": _keyed(_with(_set, showHistory=True)),
    "_getMetadata": _with(_set, showHistory=False),
    "getReference": lambda _: {"category": "reporter"},
    "listReference": lambda _: {},
    "getSUV": lambda _: {"subscription_key": KEY, "period": "2022"},
}
SUBMISSIONS = {"submitAsyncFinalDataRequest": "TOTAL", "submitAsyncTarifflineDataRequest": "AG6"}
BATCH_DOWNLOADS = {"downloadAsyncFinalDataRequest": "TOTAL", "downloadAsyncTarifflineDataRequest": "AG6"}
BULK_DOWNLOADS = (
    "bulkDownloadFinalFile", "bulkDownloadTarifflineFile", "bulkDownloadFinalClassicFile",
    "bulkDownloadFinalFileDateRange", "bulkDownloadTarifflineFileDateRange", "bulkDownloadFinalClassicFileDateRange",
    "bulkDownloadAndCombineTarifflineFile", "bulkDownloadAndCombineFinalFile",
    "bulkDownloadAndCombineFinalClassicFile",
)  # fmt: skip


def test_every_function_of_the_client_is_tried_when_it_is_listed() -> None:
    offered = {name for name, value in vars(comtradeapicall).items() if callable(value)}
    assert offered == {*FRAMES, *SUBMISSIONS, *BATCH_DOWNLOADS, *BULK_DOWNLOADS, "convertCountryIso3ToCode"}


def test_every_fetching_function_of_the_client_gives_rows_when_it_is_called(client: Any, reporter: int) -> None:
    client.submitAsyncFinalDataRequest(KEY, **_data(reporter))
    for name, arguments in FRAMES.items():
        frame = getattr(client, name)(**arguments(reporter))
        assert isinstance(frame, pd.DataFrame), name
        assert len(frame) > 0, name


def test_figures_of_the_client_are_the_declared_ones_when_they_are_fetched(
    client: Any, reporter: int, annual: pl.DataFrame
) -> None:
    totals = annual.filter(pl.col("reporterCode") == reporter, pl.col("cmdCode") == "TOTAL")
    fetched = client.getFinalData(KEY, **_data(reporter))
    assert sorted(fetched["primaryValue"]) == sorted(totals["primaryValue"])
    assert client.getCountFinalData(KEY, **_data(reporter))["count"][0] == totals.height
    balance = client.getTradeBalance(KEY, **_tool(reporter)).set_index("partnerCode")
    world = totals.filter(pl.col("partnerCode") == 0).rows_by_key("flowCode", named=True, unique=True)
    assert balance.loc[0, "tradeBalance"] == world["X"]["primaryValue"] - world["M"]["primaryValue"]


def test_codes_of_places_are_found_when_the_client_asks_by_iso_code(client: Any) -> None:
    assert set(client.convertCountryIso3ToCode("BEL,DEU").split(",")) == {"56", "276"}


def test_the_client_is_told_why_when_its_key_is_not_known(
    client: Any, reporter: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert client.getFinalData("guess", **_data(reporter)) is None
    assert "invalid subscription key" in capsys.readouterr().out


@pytest.mark.parametrize("name", BULK_DOWNLOADS)
def test_files_arrive_when_the_client_downloads_in_bulk(
    client: Any, reporter: int, tmp_path: Path, name: str, annual: pl.DataFrame
) -> None:
    getattr(client, name)(KEY, str(tmp_path), **_set(reporter))
    (path,) = tmp_path.iterdir()
    lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    rows = annual.filter(pl.col("reporterCode") == reporter)
    leaves = rows.filter(pl.col("cmdCode").str.len_chars() == 6).height
    expected = leaves if "Tariffline" in name else rows.height
    assert lines[0].startswith("datasetCode\ttypeCode\t")
    assert len(lines) - 1 == expected or ("Classic" in name and 0 < len(lines) - 1 < expected)


@pytest.mark.parametrize(("name", "products"), BATCH_DOWNLOADS.items())
def test_files_arrive_when_the_client_downloads_a_batch(
    client: Any, reporter: int, tmp_path: Path, name: str, products: str
) -> None:
    getattr(client, name)(KEY, str(tmp_path), **{**_data(reporter), "cmdCode": products})
    (path,) = tmp_path.iterdir()
    assert len(gzip.decompress(path.read_bytes()).splitlines()) > 1


@pytest.mark.parametrize(("name", "products"), SUBMISSIONS.items())
def test_a_batch_is_complete_when_the_client_has_submitted_it(
    client: Any, reporter: int, name: str, products: str
) -> None:
    batch = getattr(client, name)(KEY, **{**_data(reporter), "cmdCode": products})["requestId"]
    assert list(client.checkAsyncDataRequest(KEY, batch)["status"]) == ["Completed"]
