"""Fixtures of the tests of the API source."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def book_file(tmp_path: Path) -> Path:
    """Where calls are counted."""
    return tmp_path / "pull" / "calls.sqlite"


@pytest.fixture(scope="session")
def recorded_bodies(shared_dir: Path) -> dict[int, bytes]:
    """Recorded bodies by the number in front of their name."""
    folder = shared_dir / "api_recordings"
    if not folder.is_dir():
        pytest.skip(f"recorded answers are not on this machine: {folder} is absent")
    return {int(path.name[:2]): path.read_bytes() for path in sorted(folder.glob("[0-9]*"))}
