"""Pages of the docs that are written from the code, so that they cannot drift from it.

Belongs here: which page is generated from what. Does not belong here: prose.
"""

from __future__ import annotations

from pathlib import Path

from orchestration.pipeline.dictionary import data_dictionary
from orchestration.pipeline.storage import write_bytes
from orchestration.settings import settings_table

SETTINGS_BEGIN = "<!-- settings: written by `make docs` -->"
SETTINGS_END = "<!-- end of settings -->"


def with_settings_table(page: str) -> str:
    """The operations page with the table of settings between its two marks. Raises ValueError without the marks."""
    before, mark, rest = page.partition(SETTINGS_BEGIN)
    _, end, after = rest.partition(SETTINGS_END)
    if not mark or not end:
        raise ValueError(
            "docs/operations.md has lost the two marks of the settings table; it would drift from the code; "
            f"put {SETTINGS_BEGIN} and {SETTINGS_END} back"
        )
    return f"{before}{SETTINGS_BEGIN}\n{settings_table()}\n{SETTINGS_END}{after}"


def write_generated_pages(docs_dir: Path, manifest: Path) -> list[Path]:
    """Write the data dictionary and the settings table; returns the pages."""
    operations, dictionary = docs_dir / "operations.md", docs_dir / "data_dictionary.md"
    write_bytes(operations, with_settings_table(operations.read_text(encoding="utf-8")).encode())
    write_bytes(dictionary, data_dictionary(manifest).encode())
    return [operations, dictionary]
