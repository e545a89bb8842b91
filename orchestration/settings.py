"""Settings of a run, read from the environment once and typed.

Belongs here: every value an operator may change, with its default, its unit and its limits. Does not belong
here: reference data (the seeds), thresholds of the gates (`expectations/thresholds.csv`) and any I/O.
`settings_table` renders the one table of docs/operations.md, so that the page cannot drift from the code.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_DIR = Path(__file__).resolve().parents[1]
ENVIRONMENT_PREFIX = "MIRROR_"
_CRON = re.compile(r"([0-9*,/-]+\s+){4}[0-9*,/-]+")


class Settings(BaseSettings):
    """What an operator can set; each field is the environment variable MIRROR_<NAME>."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore")

    source: Literal["sample", "files"] = Field(
        default="sample",
        description="Where declarations come from: the planted world or a folder of downloads.",
    )
    declarations: Path | None = Field(
        default=None, description="Folder of downloads; needed when the source is `files`."
    )
    data_dir: Path | None = Field(
        default=None,
        description="Folder for landed data, runs and releases; default `data/<source>` in the checkout.",
    )
    distances: Path | None = Field(
        default=None,
        description="CEPII's bilateral GeoDist file (dist_cepii.dta), to use its distances; default: great circles.",
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
    sensor_seconds: int = Field(
        default=60, ge=30, description="Seconds between two looks for new files in the declarations folder."
    )
    keep_history: bool = Field(
        default=False,
        description="Keep runs started by `make run` in the orchestrator's history (the page shows them; slower).",
    )
    notify: Literal["log", "webhook"] = Field(
        default="log", description="Where failures and refusals of the gate are told."
    )
    webhook_url: SecretStr | None = Field(
        default=None,
        description="Address that receives a JSON message; secret, needed when notify is `webhook`.",
    )

    @field_validator("declarations", "data_dir", "distances")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value.expanduser().absolute() if value is not None else None

    @field_validator("schedule_cron")
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

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.source == "files" and self.declarations is None:
            raise ValueError(
                "the source is `files` but no folder is named; without one there is nothing to read; "
                "set MIRROR_DECLARATIONS (or run `make run SOURCE=files DECLARATIONS=<folder>`)"
            )
        if self.notify == "webhook" and self.webhook_url is None:
            raise ValueError(
                "notify is `webhook` but no address is set; failures would reach nobody; set MIRROR_WEBHOOK_URL"
            )
        return self

    @property
    def data_folder(self) -> Path:
        """Folder that holds everything a run writes (absolute)."""
        return self.data_dir if self.data_dir is not None else PROJECT_DIR / "data" / self.source

    @property
    def dbt_dir(self) -> Path:
        """Folder of the dbt project."""
        return PROJECT_DIR / "dbt_project"

    @property
    def seeds_dir(self) -> Path:
        """Folder of the reference tables."""
        return self.dbt_dir / "seeds"


def settings_table() -> str:
    """The settings as a Markdown table: variable, default, meaning."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{ENVIRONMENT_PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)
