"""Fixtures of the readers' tests: the places the project ships, the invented downloads, a shorthand to read one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.files import Delivery, FileRefusal, read_delivery
from orchestration.reference import load_reference

Read = Callable[[Path], Delivery | FileRefusal]


@pytest.fixture(scope="session")
def places(seeds_dir: Path) -> pl.DataFrame:
    return load_reference(seeds_dir).places


@pytest.fixture(scope="session")
def downloads_dir(project_dir: Path) -> Path:
    """Invented declarations, the same three in every layout."""
    return project_dir / "tests" / "fixtures" / "downloads"


@pytest.fixture
def read(places: pl.DataFrame) -> Read:
    return lambda path: read_delivery(path, places, None)


@pytest.fixture
def rows_of(tmp_path: Path, read: Read) -> Callable[..., pl.DataFrame]:
    """Rows of a file with this content; fails when it is refused."""

    def rows(content: str | bytes, name: str = "download.csv") -> pl.DataFrame:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        delivery = read(path)
        assert isinstance(delivery, Delivery), delivery
        return delivery.rows

    return rows


@pytest.fixture
def refusal_of(tmp_path: Path, read: Read) -> Callable[..., FileRefusal]:
    """The refusal of a file with this content; fails when it is read."""

    def refusal(content: str | bytes, name: str = "download.csv") -> FileRefusal:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        answer = read(path)
        assert isinstance(answer, FileRefusal), answer
        return answer

    return refusal
