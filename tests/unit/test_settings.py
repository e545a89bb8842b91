"""Settings come from the environment, are refused with a mend, and stand in one table of the docs."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestration.pipeline.reconciliation import DEFAULT_METHOD
from orchestration.reconcile import ESTIMATORS, VarianceComponents
from orchestration.settings import PROJECT_DIR, Settings, settings_table


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"MIRROR_{name.upper()}", raising=False)


def test_defaults_need_no_environment_when_the_planted_world_runs() -> None:
    settings = Settings()
    assert settings.source == "sample"
    assert settings.data_folder == PROJECT_DIR / "data" / "sample"


def test_every_estimator_can_be_chosen_when_it_is_named() -> None:
    assert {Settings(method=name).method for name in ESTIMATORS} == set(ESTIMATORS)  # type: ignore[arg-type]
    assert Settings().method == VarianceComponents.name == DEFAULT_METHOD


def test_each_setting_is_read_when_its_variable_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIRROR_SOURCE", "files")
    monkeypatch.setenv("MIRROR_DECLARATIONS", str(tmp_path))
    monkeypatch.setenv("MIRROR_KEEP_RELEASES", "3")
    settings = Settings()
    assert (settings.source, settings.declarations, settings.keep_releases) == ("files", tmp_path, 3)
    assert settings.data_folder == PROJECT_DIR / "data" / "files"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"MIRROR_SOURCE": "files"}, "set MIRROR_DECLARATIONS"),
        ({"MIRROR_NOTIFY": "webhook"}, "set MIRROR_WEBHOOK_URL"),
        ({"MIRROR_NOTIFY": "log,webhook"}, "set MIRROR_WEBHOOK_URL"),
        ({"MIRROR_NOTIFY": "log, pigeon"}, "name one or several of log, webhook, email"),
        ({"MIRROR_NOTIFY": " , "}, "is no list of channels"),
        ({"MIRROR_NOTIFY": "email", "MIRROR_SMTP_HOST": "mail"}, "MIRROR_MAIL_SENDER and MIRROR_MAIL_RECIPIENTS"),
        ({"MIRROR_MAIL_SENDER": "a@x, b@x"}, "is not a mail address"),
        ({"MIRROR_MAIL_RECIPIENTS": "a@x.org, nobody"}, "'nobody' is not a mail address"),
        ({"MIRROR_SMTP_USER": "me"}, "MIRROR_SMTP_USER and MIRROR_SMTP_PASSWORD"),
        (
            {"MIRROR_SMTP_USER": "me", "MIRROR_SMTP_PASSWORD": "x", "MIRROR_SMTP_SECURITY": "none"},
            "set MIRROR_SMTP_SECURITY",
        ),
        ({"MIRROR_ALERT_GRADE": "E"}, "'A', 'B', 'C' or 'D'"),
        ({"MIRROR_SOURCE": "carrier pigeon"}, "'sample', 'files', 'api' or 'preview'"),
        ({"MIRROR_API_KEY": "two words"}, "character that no key has; .*; set MIRROR_API_KEY"),
        ({"MIRROR_API_KEY": "clé"}, "character that no key has"),
        ({"MIRROR_API_REPORTERS": "156,China"}, "'China' is not a reporter code .*; give numbers such as 156,398"),
        ({"MIRROR_API_REPORTERS": "-56"}, "'-56' is not a reporter code"),
        ({"MIRROR_API_REPORTERS": "1560"}, "'1560' is not a reporter code"),
        ({"MIRROR_API_FREQUENCIES": "Q"}, "'A', 'M' or 'AM'"),
        ({"MIRROR_API_FIRST_YEAR": "1961"}, "greater than or equal to 1962"),
        ({"MIRROR_API_LAST_YEAR": "22"}, "greater than or equal to 1962"),
        ({"MIRROR_API_CALLS_A_DAY": "0"}, "greater than or equal to 1"),
        ({"MIRROR_API_ROWS_A_CALL": "1"}, "greater than or equal to 2"),
        ({"MIRROR_API_CALLS_A_SECOND": "0"}, "greater than 0"),
        ({"MIRROR_API_ADDRESS_CHARACTERS": "499"}, "greater than or equal to 500"),
        ({"MIRROR_API_PERIODS_A_CALL": "0"}, "greater than or equal to 1"),
        ({"MIRROR_API_ATTEMPTS": "0"}, "greater than or equal to 1"),
        ({"MIRROR_API_TIMEOUT_SECONDS": "0"}, "greater than 0"),
        ({"MIRROR_API_LONGEST_WAIT_SECONDS": "-1"}, "greater than or equal to 0"),
        ({"MIRROR_PREVIEW_CALLS": "501"}, "less than or equal to 500"),
        ({"MIRROR_KEEP_RELEASES": "0"}, "greater than or equal to 1"),
        ({"MIRROR_SENSOR_SECONDS": "1"}, "greater than or equal to 30"),
        ({"MIRROR_SCHEDULE_CRON": "every full moon"}, "cron"),
        ({"MIRROR_SCHEDULE_TIMEZONE": "Mars/Olympus"}, "time zone"),
    ],
)
def test_settings_are_refused_with_a_mend_when_a_value_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], words: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=words):
        Settings()


def test_the_key_is_read_without_what_is_around_it_when_it_was_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_SOURCE", "api")
    monkeypatch.setenv("MIRROR_API_KEY", " s3cret\n")
    key = Settings().api_key
    assert key is not None
    assert key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(Settings()) + Settings().model_dump_json()


def test_no_key_is_told_when_it_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_SOURCE", "api")
    monkeypatch.setenv("MIRROR_API_KEY", "s3cret key")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "s3cret" not in str(refusal.value) + repr(refusal.value)


def test_an_empty_variable_is_one_that_is_not_set_when_it_stands_in_a_file_of_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An empty MIRROR_DATA_DIR was once the working folder, and an empty webhook address an address."""
    for name in ("MIRROR_DATA_DIR", "MIRROR_WEBHOOK_URL", "MIRROR_WEBHOOK_SECRET", "MIRROR_API_FIRST_YEAR"):
        monkeypatch.setenv(name, "")
    assert Settings().data_folder == PROJECT_DIR / "data" / "sample"
    assert Settings().webhook_secret is None
    assert Settings().api_first_year is None
    monkeypatch.setenv("MIRROR_NOTIFY", "webhook")
    with pytest.raises(ValidationError, match="set MIRROR_WEBHOOK_URL"):
        Settings()


@pytest.mark.parametrize(
    "address",
    [
        "localhost:8000",
        "standin",
        "https://user:s3cret@example.org",
        "https://a/?k=s3cret",
        "http://[s3cret",
        "http://:80",
    ],
)
def test_an_address_is_refused_and_not_repeated_when_it_is_none_of_a_server(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MIRROR_API_ADDRESS", address)
    with pytest.raises(ValidationError, match="no address of a server") as refusal:
        Settings()
    assert "s3cret" not in str(refusal.value) + repr(refusal.value)


@pytest.mark.parametrize(
    "address",
    [
        "http://comtradeapi.un.org",
        "http://localhost.example.org",
        "http://127.0.0.1.example.org/api",
        "http://10.0.0.7:80",
    ],
)
def test_a_key_is_not_sent_in_clear_when_the_server_is_another_machine(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MIRROR_SOURCE", "api")
    monkeypatch.setenv("MIRROR_API_ADDRESS", address)
    assert Settings().api_key is None
    monkeypatch.setenv("MIRROR_API_KEY", "s3cret")
    with pytest.raises(ValidationError, match=r"cross the network in clear; anybody .*; write https://") as refusal:
        Settings()
    assert "s3cret" not in str(refusal.value) + repr(refusal.value)
    # A preview sends no key.
    monkeypatch.setenv("MIRROR_SOURCE", "preview")
    assert Settings().api_address == address


@pytest.mark.parametrize(
    "address",
    [
        "https://comtradeapi.un.org",
        "http://127.0.0.1:8000",
        "http://localhost/api",
        "http://LOCALHOST",
        "http://[::1]:8000",
    ],
)
def test_a_key_is_taken_when_it_is_sent_encrypted_or_stays_on_this_machine(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("MIRROR_API_KEY", "s3cret")
    assert Settings(source="api", api_address=address).api_address == address


def test_no_key_is_needed_when_the_source_is_the_preview_or_the_stand_in() -> None:
    assert Settings(source="preview").is_pulled
    assert Settings(source="api", api_address="stand-in").is_pulled
    assert not Settings().is_pulled


def test_reporters_are_codes_of_three_digits_when_they_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().api_reporters == ""
    monkeypatch.setenv("MIRROR_API_REPORTERS", " 156, 4 ,,56")
    assert Settings().api_reporters == "156,004,056"


def test_the_record_of_calls_has_an_absolute_path_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_API_CALL_BOOK", "calls.sqlite")
    assert Settings().api_call_book == Path.cwd() / "calls.sqlite"


def test_the_webhook_address_stays_secret_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_NOTIFY", "webhook")
    monkeypatch.setenv("MIRROR_WEBHOOK_URL", "https://example.org/hook/s3cret")
    assert "s3cret" not in repr(Settings())
    assert "s3cret" not in Settings().model_dump_json()


def test_channels_and_recipients_are_lists_when_commas_stand_between(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().channels == ("log",)
    monkeypatch.setenv("MIRROR_NOTIFY", "email,log , email")
    monkeypatch.setenv("MIRROR_SMTP_HOST", "mail.example.org")
    monkeypatch.setenv("MIRROR_MAIL_SENDER", "a@example.org")
    monkeypatch.setenv("MIRROR_MAIL_RECIPIENTS", "b@example.org, c@example.org")
    assert Settings().channels == ("email", "log")
    assert Settings().recipients == ("b@example.org", "c@example.org")


def test_no_secret_is_told_when_settings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_NOTIFY", "email")
    monkeypatch.setenv("MIRROR_SMTP_USER", "me")
    monkeypatch.setenv("MIRROR_SMTP_PASSWORD", "s3cret")
    monkeypatch.setenv("MIRROR_WEBHOOK_SECRET", "s3cret")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "s3cret" not in str(refusal.value) + repr(refusal.value)


def test_every_setting_stands_in_the_docs_when_operations_is_read() -> None:
    page = (PROJECT_DIR / "docs" / "operations.md").read_text(encoding="utf-8")
    assert settings_table() in page
