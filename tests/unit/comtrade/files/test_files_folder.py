"""The folder of downloads: which files count, what they are called, the dates stated beside them."""

from __future__ import annotations

import hashlib
import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from orchestration.comtrade.files import (
    FolderError,
    delivery_id_of,
    folder,
    name_in,
    read_release_dates,
    reader_fingerprint,
    scan_folder,
)


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def test_documentation_and_hidden_files_are_left_out_when_a_folder_is_scanned(tmp_path: Path) -> None:
    _touch(tmp_path, "b.csv", "a/b.csv", "a/z.gz", "no_suffix", "a/vintages.csv", "map.csv")
    _touch(tmp_path, "README.md", "a/notes.md", "readme.txt", "README", "vintages.csv", ".hidden", ".git/config")
    found = [name_in(tmp_path, path) for path in scan_folder(tmp_path)]
    assert found == ["a/b.csv", "a/vintages.csv", "a/z.gz", "b.csv", "map.csv", "no_suffix"]


def test_linked_folders_are_entered_once_when_a_folder_is_scanned(tmp_path: Path) -> None:
    _touch(tmp_path, "archive/deep/a.csv", "downloads/b.csv")
    root = tmp_path / "downloads"
    (root / "archive").symlink_to(tmp_path / "archive")
    (root / "again").symlink_to(root)
    (root / "gone.csv").symlink_to(tmp_path / "nowhere")
    assert [name_in(root, path) for path in scan_folder(root)] == ["archive/deep/a.csv", "b.csv"]


def test_an_id_is_the_start_of_the_contents_sha_256_when_asked_for(tmp_path: Path) -> None:
    _touch(tmp_path, "one.csv", "two/one.csv")
    (tmp_path / "two" / "one.csv").write_text("one.csv")
    expected = hashlib.sha256(b"one.csv").hexdigest()[:12]
    assert {delivery_id_of(path) for path in scan_folder(tmp_path)} == {expected}


def test_an_id_is_computed_once_until_the_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "one.csv"
    path.write_text("before")
    first = delivery_id_of(path)
    with monkeypatch.context() as patched:
        patched.setattr(folder.hashlib, "file_digest", lambda *_: pytest.fail("read again"))
        assert delivery_id_of(path) == first
    path.write_text("behind")  # Same size; only the time of change tells.
    os.utime(path, ns=(1, 1))
    assert delivery_id_of(path) == hashlib.sha256(b"behind").hexdigest()[:12]


def test_release_dates_are_read_by_name_in_the_folder_when_stated(tmp_path: Path) -> None:
    _touch(tmp_path, "a.csv", "sub/a.csv")
    assert read_release_dates(tmp_path) == {}
    (tmp_path / "vintages.csv").write_text("\ufefffile,released_on\na.csv,2020-02-03\n\n sub/a.csv , 2021-02-03\n")
    assert read_release_dates(tmp_path) == {"a.csv": date(2020, 2, 3), "sub/a.csv": date(2021, 2, 3)}


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "its header is not file,released_on"),
        ("name,date\n", "its header is not file,released_on"),
        ("file,released_on\na.csv\n", "row 2 has 1 cells"),
        ("file,released_on\na.csv,3.2.2020\n", "'3.2.2020', which is not YYYY-MM-DD"),
        ("file,released_on\na.csv,2020-02-03\na.csv,2020-02-04\n", "row 3 names a.csv a second time"),
        ("file,released_on\nb.csv,2020-02-03\n", "b.csv, which is not in the folder"),
    ],
)
def test_release_dates_are_refused_when_they_are_malformed(tmp_path: Path, text: str, what: str) -> None:
    _touch(tmp_path, "a.csv")
    (tmp_path / "vintages.csv").write_text(text)
    with pytest.raises(FolderError, match=what):
        read_release_dates(tmp_path)


def test_readers_have_another_fingerprint_when_a_place_changes(places: pl.DataFrame) -> None:
    assert reader_fingerprint(places) == reader_fingerprint(places.clone())
    assert reader_fingerprint(places) != reader_fingerprint(places.head(-1))
