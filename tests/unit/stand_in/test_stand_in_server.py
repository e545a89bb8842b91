"""The stand-in over HTTP: addresses, keys in header and address, steering, compression, its own process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import polars as pl
import pytest

from orchestration.reference import Reference
from orchestration.stand_in import Holdings, KeyLimits, Served, StandIn, serve
from orchestration.stand_in.__main__ import main
from tests.unit.stand_in.asking import KEY, Get

PATH = "/data/v1/get/C/A/HS"


def test_lists_are_split_at_commas_when_they_come_raw_or_encoded_and_names_in_any_case(served: Served) -> None:
    base, key = f"{served.address}/DATA/v1/Get/c/a/hs", f"subscription-key={KEY}"
    bodies = [
        httpx.get(f"{base}?{query}&{key}").content
        for query in ("period=2022&flowCode=M,X", "PERIOD=2022&flowcode=M%2CX")
    ]
    assert bodies[0] == bodies[1]
    assert json.loads(bodies[0])["count"] > 0


def test_refusals_have_their_status_and_headers_when_they_come_over_http(served: Served) -> None:
    answer = httpx.get(served.address + PATH)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/json")
    assert answer.headers["www-authenticate"].startswith("AzureApiManagementKey")
    assert httpx.get(f"{served.address}/data/v2/get").status_code == 404


def test_an_address_is_refused_with_414_when_it_is_longer_than_4096(get: Get, served: Served) -> None:
    room = 4_096 - len(f"{served.address}{PATH}?cmdCode=")
    assert get(PATH, cmdCode="9" * room).status_code == 200
    assert get(PATH, cmdCode="9" * (room + 1)).status_code == 414


def test_the_stand_in_is_steered_when_another_process_asks(served: Served, get: Get, reporter: int) -> None:
    listed = "/data/v1/getDA/C/A/HS"
    before = get(listed, reporterCode=reporter).json()["data"][0]
    control = f"{served.address}/stand-in"
    revised = httpx.post(f"{control}/revise", json={"reporterCode": reporter, "period": "2022", "factor": 2}).json()
    after = get(listed, reporterCode=reporter).json()["data"][0]
    assert [one["datasetChecksum"] for one in revised] == [after["datasetChecksum"]] != [before["datasetChecksum"]]
    assert httpx.post(f"{control}/revise", json={"reporterCode": reporter, "period": "1871"}).status_code == 404
    assert httpx.post(f"{control}/revise", json={"period": "2022"}).status_code == 400
    assert httpx.post(f"{control}/faults", json={"script": {"1": {"kind": "server_error"}}}).status_code == 200
    assert [get(PATH, period="1871").status_code for _ in range(2)] == [503, 200]
    assert httpx.post(f"{control}/faults", json={"script": {"1": {"kind": "meteor"}}}).status_code == 400
    assert httpx.request("DELETE", f"{control}/faults").status_code == 200
    assert httpx.post(f"{control}/quota").status_code == 200
    calls = httpx.get(f"{control}/calls").json()
    assert [call["status"] for call in calls] == [200, 200, 503, 200]
    assert calls[2]["fault"] == "server_error"


def test_the_body_is_gzipped_when_the_stand_in_compresses(holdings: Holdings, reference: Reference) -> None:
    stand_in = StandIn(holdings, {KEY: KeyLimits()}, compresses=True, reference=reference)
    with serve(stand_in) as served:
        address, headers = served.address + PATH, {"Ocp-Apim-Subscription-Key": KEY}
        zipped = httpx.get(address, params={"period": "2022"}, headers=headers)
        plain = httpx.get(address, params={"period": "2022"}, headers={**headers, "Accept-Encoding": "identity"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert zipped.content == plain.content


def test_every_caller_gets_a_whole_answer_when_many_ask_at_once(served: Served) -> None:
    with httpx.Client(headers={"Ocp-Apim-Subscription-Key": KEY}) as client:
        counts: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: counts.append(
                    client.get(served.address + PATH, params={"period": "2022", "cmdCode": "TOTAL"}).json()["count"]
                )
            )
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(counts) == 16
    assert len(set(counts)) == 1
    assert [call.number for call in served.stand_in.calls] == list(range(1, 17))


def test_the_port_is_free_again_when_the_block_ends(stand_in: StandIn) -> None:
    with serve(stand_in) as served:
        port = int(served.address.rsplit(":", 1)[1])
    with serve(stand_in, port=port) as again:
        assert again.address == served.address
        with pytest.raises(OSError, match="in use"), serve(stand_in, port=port):
            pass


@contextmanager
def process(
    project_dir: Path, environment: dict[str, str], *arguments: str, **settings: str
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The stand-in in a process of its own, once it listens; interrupted at the end."""
    started = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "orchestration.stand_in", *arguments],
        cwd=project_dir,
        env={**environment, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert started.stdout is not None
        match = re.match(r"(http://127\.0\.0\.1:\d+) answers with \d+ rows", started.stdout.readline())
        assert match is not None, started.communicate()[1]
        yield match[1], started
    finally:
        started.send_signal(signal.SIGINT)
        started.communicate(timeout=10)


def test_a_process_of_its_own_answers_within_its_limits_and_ends_silently_when_it_is_interrupted(
    project_dir: Path, clean_environment: dict[str, str], annual: pl.DataFrame, tmp_path: Path
) -> None:
    annual.write_parquet(tmp_path / "A-2022.parquet")
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"script": {"1": {"kind": "server_error"}}}), encoding="utf-8")
    arguments = ("--folder", str(tmp_path), "--cap", "50", "--quota", "2", "--faults", str(faults))
    with process(project_dir, clean_environment, *arguments, MIRROR_STAND_IN_KEY="other") as (address, started):
        headers = {"Ocp-Apim-Subscription-Key": "other"}
        answers = [httpx.get(address + PATH, params={"period": "2022"}, headers=headers) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [503, 200, 403]
        assert answers[1].json()["count"] == 50
        started.send_signal(signal.SIGINT)
        _, errors = started.communicate(timeout=10)
        assert (errors, started.returncode) == ("", 0)


def test_the_planted_world_is_served_when_no_folder_is_named(
    project_dir: Path, clean_environment: dict[str, str]
) -> None:
    settings = {"MIRROR_SAMPLE_WORLD": "tiny", "MIRROR_SAMPLE_START_YEAR": "2024", "MIRROR_SAMPLE_FREQUENCIES": "A"}
    with process(project_dir, clean_environment, **settings) as (address, _):
        headers = {"Ocp-Apim-Subscription-Key": "stand-in-demonstration-key"}
        answer = httpx.get(f"{address}/data/v1/getDA/C/A/HS", headers=headers).json()
    assert answer["count"] > 5
    assert {row["period"] for row in answer["data"]} == {2024}


def test_the_command_ends_with_2_and_a_reason_when_it_cannot_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--folder", str(tmp_path)]) == 2
    assert "no Parquet file" in capsys.readouterr().err
