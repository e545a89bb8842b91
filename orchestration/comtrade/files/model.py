"""What a reader hands back: the rows of one file, or the reason why it cannot be read.

Belongs here: the two results and nothing else. Does not belong here: reading.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl


@dataclass(frozen=True)
class Delivery:
    """One file as a data-set version: `rows` in schema LANDED, one per row of the file, values in USD as filed.

    `reader` is the fingerprint of the readers that read it.
    """

    delivery_id: str
    source_file: str
    source_format: str
    released_on: date | None
    rows: pl.DataFrame
    reader: str = ""


@dataclass(frozen=True)
class FileRefusal:
    """A file that cannot be read as declarations: what is wrong, why it matters, how to mend it."""

    source_file: str
    what: str
    why_it_matters: str
    how_to_mend: str


class Unreadable(Exception):
    """Raised inside the readers; `read_delivery` turns it into a FileRefusal."""

    def __init__(self, what: str, why_it_matters: str, how_to_mend: str) -> None:
        super().__init__(what)
        self.what, self.why_it_matters, self.how_to_mend = what, why_it_matters, how_to_mend


class FolderError(Exception):
    """The folder of downloads cannot be used; the text says what is wrong, why it matters and how to mend it."""
