"""One folder holds what one server gave, and nothing is pulled without a key."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.pipeline.paths import DataPaths
from orchestration.pipeline.plan import PlanError
from orchestration.pipeline.pull import open_client
from orchestration.settings import PROJECT_DIR, STAND_IN, Settings

SERVER, OTHER = "http://127.0.0.1:1", "http://127.0.0.1:2"


def opened(settings: Settings) -> None:
    """Open a client as a pull does, and make no call."""
    with open_client(settings, DataPaths(settings.data_folder), "pull"):
        pass


def looked_at(folder: Path) -> None:
    """Leave the list of a server in the folder, as the first look does."""
    (DataPaths(folder).pull / "availability.json").write_text("[]", encoding="utf-8")


def of(folder: Path, **changes: object) -> Settings:
    given: dict[str, object] = {"source": "api", "api_key": "k", "api_address": SERVER, "data_dir": folder}
    return Settings(**(given | changes))  # type: ignore[arg-type]


def test_nothing_is_pulled_and_the_way_to_a_key_is_told_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"no key is set; .*; set MIRROR_API_KEY .* or take SOURCE=preview"):
        opened(of(tmp_path, api_key=" \n"))
    assert not DataPaths(tmp_path).pull.exists()


@pytest.mark.parametrize("changes", [{"api_address": OTHER}, {"source": "preview"}])
def test_a_folder_of_one_server_is_refused_when_another_one_would_be_mixed_in(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    opened(of(tmp_path))
    looked_at(tmp_path)
    opened(of(tmp_path))
    with pytest.raises(PlanError, match=r"holds what was pulled from another server .*; name another folder"):
        opened(of(tmp_path, **changes))


def test_a_folder_of_one_planted_world_is_refused_when_the_stand_in_serves_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Refused before a stand-in is started; the first world is only named here, as a pull of it would have done.
    shown = of(tmp_path, api_address=STAND_IN, sample_world="tiny")
    monkeypatch.setattr(
        "orchestration.pipeline.pull._server", lambda *_: (_ for _ in ()).throw(RuntimeError("started"))
    )
    with pytest.raises(RuntimeError, match="started"):
        opened(shown)
    looked_at(tmp_path)
    with pytest.raises(PlanError, match="planted world"):
        opened(of(tmp_path, api_address=STAND_IN, sample_world="tiny", sample_seed=8))


def test_a_demonstration_has_a_folder_of_its_own_when_none_is_named() -> None:
    assert Settings(source="api", api_address=STAND_IN).data_folder == PROJECT_DIR / "data" / "api-stand-in"
    assert Settings(source="api").data_folder == PROJECT_DIR / "data" / "api"
    assert Settings(source="sample", api_address=STAND_IN).data_folder == PROJECT_DIR / "data" / "sample"
