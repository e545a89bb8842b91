"""Small pictures: the same numbers give the same text, heights follow values, labels never collide."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree

import pytest

from orchestration.figures import PANEL_HEIGHT, Panel, as_markdown, draw, short

YEARS = [("2019", 10.0), ("2020", 5.0)]


def heights(svg: str) -> list[float]:
    """Heights of the bars in pixels."""
    return [float(found) for found in re.findall(r"v-(\d+\.\d)", svg)]


def test_bars_are_as_tall_as_their_values_when_drawn() -> None:
    tall, half = heights(draw([Panel("rows", YEARS)]))
    assert tall == pytest.approx(2 * half)


def test_a_share_is_drawn_against_one_when_the_top_is_given() -> None:
    (full,) = heights(draw([Panel("share", [("2019", 1.0)], top=1.0)]))
    assert heights(draw([Panel("share", [("2019", 0.5)], top=1.0)])) == [pytest.approx(full / 2)]


def test_the_picture_is_well_formed_when_a_title_holds_markup() -> None:
    root = ElementTree.fromstring(draw([Panel("a < b & c", YEARS), Panel("none", []), Panel("zero", [("2019", 0.0)])]))
    assert root.get("height") == str(3 * PANEL_HEIGHT)


def test_only_ends_and_middle_are_labelled_when_there_are_many_bars() -> None:
    months = [(f"{year}{month:02d}", 1.0) for year in (2021, 2022, 2023) for month in range(1, 13)]
    labels = re.findall(r">(\d{6})</text>", draw([Panel("rows", months)]))
    assert labels == ["202101", "202207", "202312"]


def test_the_picture_travels_in_the_text_when_it_is_made_markdown() -> None:
    svg = draw([Panel("rows", YEARS)])
    found = re.fullmatch(r"!\[words\]\(data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", as_markdown(svg, "words"))
    assert found is not None
    assert base64.b64decode(found[1]).decode() == svg == draw([Panel("rows", YEARS)])


@pytest.mark.parametrize(
    ("value", "words"), [(0.0, "0"), (0.25, "0.25"), (999.0, "999"), (1234.0, "1.23k"), (2.4e11, "240G"), (5e12, "5T")]
)
def test_numbers_are_short_when_they_stand_in_a_picture(value: float, words: str) -> None:
    assert short(value) == words
