"""Fixtures shared by every test folder: where the project stands and where real declarations may be found.

Fixtures that belong to one folder only live in that folder's own conftest.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

PROJECT_DIR = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project_dir() -> Path:
    """The root of the checkout."""
    return PROJECT_DIR


@pytest.fixture(scope="session")
def seeds_dir() -> Path:
    """The folder of reference tables (CSV with a source column)."""
    return PROJECT_DIR / "dbt_project" / "seeds"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real declarations beside the checkout; tests that need it skip, saying so, where it is absent."""
    path = Path(os.environ.get("SHARED_DIR", PROJECT_DIR.parent / "shared"))
    if not (path / "declarations").is_dir():
        pytest.skip(f"real declarations are not on this machine: {path} is absent")
    return path
