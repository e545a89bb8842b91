"""Readers of downloads: a folder's files in, rows in UN Comtrade's own columns out, or a reason why not.

Belongs here: every known format of UN Comtrade and WITS, told apart by content; cells that cannot be read keep their
raw text. Does not belong here: which codes are known and where a row is booked (`contract`), landing (`landing`).
"""

from orchestration.comtrade.files.folder import (
    RELEASE_DATES_FILE,
    delivery_id_of,
    name_in,
    read_release_dates,
    scan_folder,
)
from orchestration.comtrade.files.model import Delivery, FileRefusal, FolderError
from orchestration.comtrade.files.read import read_delivery
from orchestration.comtrade.files.version import reader_fingerprint

__all__ = [
    "RELEASE_DATES_FILE",
    "Delivery",
    "FileRefusal",
    "FolderError",
    "delivery_id_of",
    "name_in",
    "read_delivery",
    "read_release_dates",
    "reader_fingerprint",
    "scan_folder",
]
