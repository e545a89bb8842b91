"""The direction of imports, held by reading every module's syntax tree.

Belongs here: who may import whom. Does not belong here: style, which ruff and mypy hold.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

SUMS = "orchestration.sums"
PURE = ("orchestration.comtrade", "orchestration.reconcile", "orchestration.passages", "orchestration.sample", SUMS)
PURE_MAY_IMPORT = {"polars", "numpy", "scipy", "threadpoolctl"} | set(sys.stdlib_module_names)
# Calling an API is what this folder is for: an HTTP client, its retries, strict decoding.
API = "orchestration.comtrade.api"
API_MAY_IMPORT = {"httpx", "tenacity", "msgspec"}
NO_IO = ("orchestration.reconcile", "orchestration.passages", "orchestration.sample", SUMS)
STAND_IN = "orchestration.stand_in"
STAND_IN_MAY_IMPORT = {"polars", "starlette", "uvicorn", "anyio"} | set(sys.stdlib_module_names)
STAND_IN_MAY_USE = (
    "orchestration.comtrade.contract.schema",
    "orchestration.sample",
    "orchestration.reference",
    "orchestration.settings",
)
# The one door to it: a demonstration starts it as a process of its own, at the address `stand-in`.
STAND_IN_DOOR = ("orchestration.pipeline.pull", f"{STAND_IN}.demonstration")
# Its command line may ask which planted world the settings name.
STAND_IN_COMMAND_MAY_USE = ("orchestration.pipeline.plan",)
IO_MODULES = {"os", "shutil", "tempfile", "urllib", "http", "socket", "subprocess", "sqlite3"}


def _module_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def violations(root: Path) -> list[str]:
    """Every forbidden import below `root`, as 'module imports name'."""
    bad: list[str] = []
    for folder in ("orchestration", "expectations"):
        for path in sorted((root / folder).rglob("*.py")):
            module, names = _module_name(root, path), _imports(path)
            bad += [f"{module} imports {n}" for n in sorted(names) if _forbidden(module, n)]
    return bad


def _forbidden(module: str, name: str) -> bool:
    top = name.split(".")[0]
    if any(_inside(module, package) for package in PURE):
        own = next(package for package in PURE if _inside(module, package))
        allowed = PURE_MAY_IMPORT | (API_MAY_IMPORT if _inside(module, API) else set())
        if top not in allowed and not _inside(name, own) and not _inside(name, SUMS):
            return True
    if any(_inside(module, package) for package in NO_IO) and top in IO_MODULES:
        return True
    if _inside(module, STAND_IN):
        if _leaves_the_stand_in(module, name, top):
            return True
    elif _inside(name, STAND_IN) and not (module == STAND_IN_DOOR[0] and _inside(name, STAND_IN_DOOR[1])):
        return True
    if _inside(module, "expectations") and top in {"dagster", "dagster_dbt", "orchestration"}:
        return True
    in_defs = _inside(module, "orchestration.defs")
    if top in {"dagster", "dagster_dbt"} and not in_defs:
        return True
    return _inside(name, "orchestration.defs") and not in_defs and module != "orchestration.definitions"


def _leaves_the_stand_in(module: str, name: str, top: str) -> bool:
    own = (STAND_IN, *STAND_IN_MAY_USE)
    if module == f"{STAND_IN}.__main__":
        own = (*own, *STAND_IN_COMMAND_MAY_USE)
    return top not in STAND_IN_MAY_IMPORT and not any(_inside(name, package) for package in own)


def test_imports_point_in_the_agreed_direction_when_the_whole_project_is_read(project_dir: Path) -> None:
    assert violations(project_dir) == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("orchestration/reconcile/bad.py", "import dagster"),
        ("orchestration/comtrade/bad.py", "from orchestration.settings import Settings"),
        ("orchestration/sample/bad.py", "import requests"),
        ("orchestration/comtrade/contract/bad.py", "import httpx"),
        ("orchestration/comtrade/api/bad.py", "import requests"),
        ("orchestration/pipeline/pull.py", "from orchestration.stand_in import StandIn"),
        ("orchestration/reconcile/bad.py", "import os"),
        ("orchestration/passages/bad.py", "from orchestration.reconcile import schema"),
        ("expectations/bad.py", "from orchestration.pipeline import paths"),
        ("expectations/bad.py", "import dagster as dg"),
        ("orchestration/release/bad.py", "from orchestration.defs import cli"),
        ("orchestration/pipeline/bad.py", "from dagster import asset"),
        ("orchestration/stand_in/bad.py", "import dagster"),
        ("orchestration/stand_in/bad.py", "from orchestration.pipeline.plan import world_config"),
        ("orchestration/pipeline/bad.py", "from orchestration.stand_in import StandIn"),
    ],
)
def test_a_forbidden_import_is_found_when_a_module_makes_it(tmp_path: Path, file: str, source: str) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source + "\n", encoding="utf-8")
    assert len(violations(tmp_path)) >= 1


def test_allowed_imports_pass_when_a_pure_module_uses_polars(tmp_path: Path) -> None:
    path = tmp_path / "orchestration" / "reconcile" / "good.py"
    path.parent.mkdir(parents=True)
    path.write_text("import polars as pl\nfrom orchestration.reconcile import schema\n", encoding="utf-8")
    assert violations(tmp_path) == []
