"""Requests and versions: addresses, names, and cutting a request so that nothing is lost or asked for twice."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import httpx
from hypothesis import given
from hypothesis import strategies as st

from orchestration.comtrade.api.requests import DataRequest
from tests.unit.comtrade.api.api_answers import REQUEST, version

PARTNERS, PRODUCTS = ("000", "032", "156", "276", "643"), ("01", "0101", "010121", "85", "8542", "TOTAL")


def test_the_address_names_places_as_numbers_and_keeps_commas_when_it_is_written() -> None:
    request = replace(REQUEST, reporters=("004", "156"), periods=("2021", "2022"))
    assert request.query == "reporterCode=4,156&period=2021,2022"
    narrow = replace(request, partners=("000", "032"), products=("TOTAL", "0101"))
    assert narrow.query == "reporterCode=4,156&period=2021,2022&cmdCode=TOTAL,0101&partnerCode=0,32"
    assert dict(httpx.QueryParams(narrow.query)) == narrow.parameters


def test_a_character_of_an_address_is_escaped_when_it_means_something_else_there() -> None:
    assert replace(REQUEST, products=("A&B", "C D")).query.endswith("&cmdCode=A%26B,C%20D")


def test_requests_have_names_of_their_own_when_anything_about_them_differs() -> None:
    others = [
        REQUEST,
        replace(REQUEST, frequency="M"),
        replace(REQUEST, periods=("2021",)),
        replace(REQUEST, reporters=("056",)),
        replace(REQUEST, products=("TOTAL",)),
        replace(REQUEST, partners=("000",)),
    ]
    assert len({one.request_id for one in others}) == len(others)
    assert REQUEST.request_id == replace(REQUEST).request_id


def test_periods_come_first_then_reporters_partners_and_products_when_a_request_is_narrowed() -> None:
    request = DataRequest("C", "A", "HS", ("2020", "2021", "2022"), ("056", "156"))
    seen = list[tuple[int, int, int | None, int | None]]()
    while request:
        sizes = (
            len(request.periods),
            len(request.reporters),
            request.partners and len(request.partners),
            request.products and len(request.products),
        )
        seen.append(sizes)
        request = next(iter(request.narrower(PRODUCTS, PARTNERS)), None)
    assert seen == [
        (3, 2, None, None), (2, 2, None, None), (1, 2, None, None), (1, 1, None, None),
        (1, 1, 3, None), (1, 1, 2, None), (1, 1, 1, None), (1, 1, 1, 3), (1, 1, 1, 2), (1, 1, 1, 1),
    ]  # fmt: skip


def leaves(request: DataRequest) -> list[DataRequest]:
    """Everything a request becomes when it is narrowed to the end."""
    narrower = request.narrower(PRODUCTS, PARTNERS)
    return [leaf for one in narrower for leaf in leaves(one)] if narrower else [request]


@given(
    st.lists(st.sampled_from(("2019", "2020", "2021")), min_size=1, unique=True),
    st.lists(st.sampled_from(("004", "056", "156")), min_size=1, unique=True),
)
def test_each_row_is_asked_for_exactly_once_when_a_request_is_narrowed_to_the_end(
    periods: list[str], reporters: list[str]
) -> None:
    request = DataRequest("C", "A", "HS", tuple(periods), tuple(reporters))
    found = Counter((one.periods, one.reporters, one.partners, one.products) for one in leaves(request))
    wanted = {((p,), (r,), (q,), (k,)) for p in periods for r in reporters for q in PARTNERS for k in PRODUCTS}
    assert found == dict.fromkeys(wanted, 1)


def test_a_version_is_named_by_data_set_and_checksum_when_it_is_cited() -> None:
    one = version("012", "2017", checksum="99", edition="H5")
    assert one.data_set.name == "C-A-2017-012-H5"
    assert one.source_file == "C-A-2017-012-H5-99"
    assert one.data_set.period_key == "A-2017"
    assert version("012", "201701").data_set.period_key == "M-201701"
    others = [one, version("012", "2017", checksum="98", edition="H5"), version("013", "2017", checksum="99")]
    assert len({other.delivery_id for other in others}) == 3
    assert one.delivery_id == replace(one, row_count=7).delivery_id
    assert len(one.delivery_id) == 12
