"""Settings of a run, read from the environment once and typed.

Belongs here: every value an operator may change, with its default, its unit and its limits. Does not belong
here: reference data (the seeds), thresholds of the gates (`expectations/thresholds.csv`) and any I/O.
`settings_table` renders the one table of docs/operations.md, so that the page cannot drift from the code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

COMTRADE_ADDRESS = "https://comtradeapi.un.org"
STAND_IN = "stand-in"
PROJECT_DIR = Path(__file__).resolve().parents[1]
ENVIRONMENT_PREFIX = "MIRROR_"
_REPORTER_DIGITS = 3
CHANNELS = ("log", "webhook", "email")
_MAIL_ADDRESS = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")
_SERVER = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_API_KEY = re.compile(r"[!-~]+")
_CRON = re.compile(r"([0-9*,/-]+\s+){4}[0-9*,/-]+")


class Settings(BaseSettings):
    """What an operator can set; each field is the environment variable MIRROR_<NAME>."""

    # Without the input in errors: pydantic would print every setting of an incomplete set, passwords too.
    # An empty variable is one that is not set: an empty path would be the working folder, an empty secret no secret.
    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True
    )

    source: Literal["sample", "files", "api", "preview"] = Field(
        default="sample",
        description="Where declarations come from: the planted world, a folder of downloads, the UN Comtrade API with "
        "a key, or its keyless preview (500 rows a call: a taste).",
    )
    declarations: Path | None = Field(
        default=None, description="Folder of downloads; needed when the source is `files`."
    )
    data_dir: Path | None = Field(
        default=None,
        description="Folder for landed data, runs and releases; default `data/<source>` in the checkout "
        "(`data/<source>-stand-in` of a demonstration).",
    )
    distances: Path | None = Field(
        default=None,
        description="CEPII's bilateral GeoDist file (dist_cepii.dta), to use its distances; default: great circles.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="Subscription key of the UN Comtrade API; secret, needed to pull from the source `api`.",
    )
    api_address: str = Field(
        default=COMTRADE_ADDRESS,
        description="Server of the API (https where a key is set); `stand-in` starts a local one that serves the "
        "planted world, and needs no key.",
    )
    api_frequencies: Literal["A", "M", "AM"] = Field(
        default="AM", description="What is pulled: annual data sets, monthly ones or both."
    )
    api_first_year: int | None = Field(
        default=None, ge=1962, le=2100, description="First year that is pulled; default: all there is."
    )
    api_last_year: int | None = Field(
        default=None, ge=1962, le=2100, description="Last year that is pulled; default: all there is."
    )
    api_reporters: str = Field(
        default="", description="Reporters that are pulled, as Comtrade codes with commas between; default: all."
    )
    api_calls_a_day: int = Field(default=500, ge=1, description="Calls a day that the key allows (a day of UTC).")
    api_rows_a_call: int = Field(default=100_000, ge=2, description="Rows that one answer holds at most.")
    api_calls_a_second: float = Field(default=1.0, gt=0, description="How fast the API is called, by all processes.")
    api_address_characters: int = Field(default=4_096, ge=500, description="Longest address the API takes.")
    api_periods_a_call: int = Field(default=12, ge=1, description="Periods that one call names at most.")
    api_attempts: int = Field(default=6, ge=1, description="How often a call that fails in passing is made.")
    api_timeout_seconds: float = Field(default=120.0, gt=0, description="How long an answer is waited for.")
    api_longest_wait_seconds: float = Field(
        default=120.0, ge=0, description="Longest pause between attempts; told to wait longer, a pull ends resumable."
    )
    api_call_book: Path | None = Field(
        default=None,
        description="File in which calls are counted, shared by all processes of a key; default: in the data folder.",
    )
    preview_calls: int = Field(
        default=25, ge=1, le=500, description="Data sets that the source `preview` asks for, the newest first."
    )
    method: Literal["variance_components", "baci", "exporter_first", "importer_first", "geometric_mean"] = Field(
        default="variance_components",
        description="How two reports of a flow become one value (docs/methodology.md compares them).",
    )
    keep_releases: int = Field(
        default=6,
        ge=1,
        le=1000,
        description="How many releases stay on disk; the published one always stays.",
    )
    sample_world: Literal["tiny", "light", "standard", "hard", "without_evasion"] = Field(
        default="light", description="Which planted world the `sample` source declares."
    )
    sample_seed: int = Field(default=7, ge=0, description="Seed of the planted world.")
    sample_rows: int | None = Field(
        default=None,
        ge=1_000,
        le=100_000_000,
        description="Rows the planted world declares over 2017-2024; default: as the named world has.",
    )
    sample_start_year: int | None = Field(
        default=None, ge=2012, le=2100, description="First year of the planted world; default: as the named world has."
    )
    sample_end_year: int | None = Field(
        default=None, ge=2012, le=2100, description="Last year of the planted world; default: as the named world has."
    )
    sample_frequencies: Literal["A", "M", "AM"] | None = Field(
        default=None, description="Annual data sets, monthly ones (from 2021 on) or both; default: both."
    )
    dbt_threads: int = Field(default=2, ge=1, le=64, description="Models that dbt builds side by side.")
    schedule_cron: str = Field(
        default="0 6 8 * *", description="When the monthly refresh starts (cron, in the time zone below)."
    )
    schedule_timezone: str = Field(default="UTC", description="Time zone of the schedule.")
    availability_cron: str = Field(
        default="30 5 * * *",
        description="When the API is asked what it holds (cron, same time zone; a call per frequency).",
    )
    sensor_seconds: int = Field(
        default=60, ge=30, description="Seconds between two looks for new files, or for data sets to pull."
    )
    keep_history: bool = Field(
        default=False,
        description="Keep runs started by `make run` in the orchestrator's history (the page shows them; slower).",
    )
    notify: str = Field(
        default="log",
        description="Where alerts go: `log`, `webhook`, `email`, or several of them with commas between.",
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="Address that receives each alert as JSON; secret, needed for the channel `webhook`.",
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Key of the signature (HMAC-SHA256, header `X-Mirror-Signature`) of each webhook; default: none.",
    )
    smtp_host: str | None = Field(default=None, description="Mail server; needed for the channel `email`.")
    smtp_port: int = Field(default=587, ge=1, le=65535, description="Port of the mail server.")
    smtp_security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="How the way to the mail server is secured (`tls` is usually on port 465)."
    )
    smtp_user: str | None = Field(default=None, description="User at the mail server; default: no login.")
    smtp_password: SecretStr | None = Field(default=None, description="Password at the mail server; secret.")
    mail_sender: str | None = Field(default=None, description="Sender of mails; needed for the channel `email`.")
    mail_recipients: str = Field(
        default="", description="Who gets the mails, with commas between; needed for the channel `email`."
    )
    alert_grade: Literal["A", "B", "C", "D"] = Field(
        default="B", description="Lowest grade, before or after, of a lead that is alerted."
    )
    alert_leads: int = Field(
        default=20, ge=0, le=1000, description="Most alerts on single leads per release; one more counts the rest."
    )
    alert_late_months: int = Field(
        default=3, ge=0, le=120, description="Months beyond its own longest pause after which a reporter is late."
    )

    @field_validator("api_key")
    @classmethod
    def _key(cls, value: SecretStr | None) -> SecretStr | None:
        """Without the blanks and line ends that come with copying; nothing is no key."""
        key = value.get_secret_value().strip() if value is not None else ""
        if key and not _API_KEY.fullmatch(key):
            raise ValueError(
                "the key holds a blank, a line break or another character that no key has; the API would refuse it; "
                "set MIRROR_API_KEY to a subscription key of comtradedeveloper.un.org and nothing around it"
            )
        return SecretStr(key) if key else None

    @field_validator("api_address")
    @classmethod
    def _server(cls, value: str) -> str:
        if value != STAND_IN and not (_SERVER.fullmatch(value) and _is_well_formed(value)):
            raise ValueError(
                "this is no address of a server; every call would be booked and none answered; write "
                f"https://<server> (no user, no password, nothing behind a ?), or {STAND_IN} for the local one"
            )
        return value

    @field_validator("api_reporters")
    @classmethod
    def _reporters(cls, value: str) -> str:
        codes = [code.strip() for code in value.split(",") if code.strip()]
        wrong = [code for code in codes if not code.isdigit() or len(code) > _REPORTER_DIGITS]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} is not a reporter code of UN Comtrade; nothing would be pulled for it; give numbers "
                "such as 156,398 (dbt_project/seeds/places.csv lists them)"
            )
        return ",".join(code.zfill(_REPORTER_DIGITS) for code in codes)

    @field_validator("declarations", "data_dir", "distances", "api_call_book")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @field_validator("schedule_cron", "availability_cron")
    @classmethod
    def _cron(cls, value: str) -> str:
        if not _CRON.fullmatch(value.strip()):
            raise ValueError(
                f"{value!r} is not a cron line; the schedule would never start; give five fields, such as 0 6 8 * *"
            )
        return value.strip()

    @field_validator("schedule_timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(
                f"{value!r} is not a time zone; the schedule would start at an unknown hour; name one such as UTC"
            ) from error
        return value

    @field_validator("notify")
    @classmethod
    def _known_channels(cls, value: str) -> str:
        named = _listed(value)
        if not named or not set(named) <= set(CHANNELS):
            raise ValueError(
                f"{value!r} is no list of channels; alerts would reach nobody; name one or several of "
                f"{', '.join(CHANNELS)} with commas between"
            )
        return value

    @field_validator("mail_sender", "mail_recipients")
    @classmethod
    def _mail_addresses(cls, value: str | None, info: ValidationInfo) -> str | None:
        given = _listed(value or "") if info.field_name == "mail_recipients" else [value or ""]
        wrong = [one for one in given if one and not _MAIL_ADDRESS.fullmatch(one)]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} is not a mail address; the server would refuse the mail; write name@host (several "
                "recipients with commas between)"
            )
        return value

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.source == "files" and self.declarations is None:
            raise ValueError(
                "the source is `files` but no folder is named; without one there is nothing to read; "
                "set MIRROR_DECLARATIONS (or run `make run SOURCE=files DECLARATIONS=<folder>`)"
            )
        self._refuse_key_in_clear()
        self._refuse_incomplete_channels()
        return self

    def _refuse_key_in_clear(self) -> None:
        """The key goes out in a header of every call: encrypted, or no further than this machine."""
        server = urlsplit(self.api_address)
        if self.source != "api" or self.api_key is None or server.scheme != "http" or server.hostname in _THIS_MACHINE:
            return
        raise ValueError(
            "MIRROR_API_ADDRESS begins with http://, so the key of the API would cross the network in clear; anybody "
            "on the way could read it and use up its quota; write https://, or unset MIRROR_API_KEY (http is taken "
            f"for {', '.join(_THIS_MACHINE)} only)"
        )

    def _refuse_incomplete_channels(self) -> None:
        if "webhook" in self.channels and self.webhook_url is None:
            raise ValueError(
                "notify is `webhook` but no address is set; alerts would reach nobody; set MIRROR_WEBHOOK_URL"
            )
        if "email" in self.channels and not (self.smtp_host and self.mail_sender and self.recipients):
            raise ValueError(
                "notify is `email` but server, sender or recipients are missing; alerts would reach nobody; set "
                "MIRROR_SMTP_HOST, MIRROR_MAIL_SENDER and MIRROR_MAIL_RECIPIENTS"
            )
        if (self.smtp_user is None) != (self.smtp_password is None):
            raise ValueError(
                "only one of user and password of the mail server is set; it would refuse the login; set both "
                "MIRROR_SMTP_USER and MIRROR_SMTP_PASSWORD, or neither"
            )
        if self.smtp_password is not None and self.smtp_security == "none":
            raise ValueError(
                "the password of the mail server would cross the network in clear; anybody on the way could read it; "
                "set MIRROR_SMTP_SECURITY to starttls or tls, or log in without a password"
            )

    @property
    def channels(self) -> tuple[str, ...]:
        """Channels that alerts go to, each once, in the order given."""
        return tuple(dict.fromkeys(_listed(self.notify)))

    @property
    def recipients(self) -> tuple[str, ...]:
        """Addresses that mails go to, each once, in the order given."""
        return tuple(dict.fromkeys(_listed(self.mail_recipients)))

    @property
    def data_folder(self) -> Path:
        """Folder that holds everything a run writes (absolute)."""
        if self.data_dir is not None:
            return self.data_dir
        # What a demonstration pulled must never be taken for what the API holds.
        is_shown = self.is_pulled and self.api_address == STAND_IN
        return PROJECT_DIR / "data" / (f"{self.source}-stand-in" if is_shown else self.source)

    @property
    def is_pulled(self) -> bool:
        """True when declarations are pulled from the API, with a key or without."""
        return self.source in ("api", "preview")

    @property
    def dbt_dir(self) -> Path:
        """Folder of the dbt project."""
        return PROJECT_DIR / "dbt_project"

    @property
    def seeds_dir(self) -> Path:
        """Folder of the reference tables."""
        return self.dbt_dir / "seeds"


def _is_well_formed(address: str) -> bool:
    try:
        return bool(urlsplit(address).hostname)
    except ValueError:  # A bracket without its other half, or no IPv6 address within the two.
        return False


def _listed(text: str) -> list[str]:
    """What stands between commas, without blanks and empty places."""
    return [one.strip() for one in text.split(",") if one.strip()]


def settings_table() -> str:
    """The settings as a Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default in (None, "") else f"`{field.default}`"
        rows.append(f"| `{ENVIRONMENT_PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)
