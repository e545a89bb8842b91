"""Where a run reads and writes.

Belongs here: the layout of the data folder, in one place. Does not belong here: any reading or writing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataPaths:
    """Folders below one data folder; every stage gets its paths from here."""

    root: Path

    @property
    def sample_declared(self) -> Path:
        """Deliveries of the planted world, one Parquet file per period."""
        return self.root / "sample" / "declared"

    @property
    def sample_truth(self) -> Path:
        """Truth of the planted world; only tests and benchmarks read it."""
        return self.root / "sample" / "truth"

    @property
    def landed(self) -> Path:
        """Immutable landed declarations."""
        return self.root / "landed"

    @property
    def ledger(self) -> Path:
        """One JSON file per landed delivery."""
        return self.root / "ledger"

    @property
    def refusals(self) -> Path:
        """Source files and data sets that could not be read, as the last landing found them."""
        return self.root / "refusals.json"

    @property
    def doubts(self) -> Path:
        """Data sets of the API that may lack rows, as the last landing found them."""
        return self.root / "doubts.json"

    @property
    def pull(self) -> Path:
        """What pulls from the API keep: availability, calls, parts of large data sets, doubtful bodies."""
        return self.root / "pull"

    @property
    def contracted(self) -> Path:
        """Declarations after the source contract, one Parquet file per table and period."""
        return self.root / "contracted"

    @property
    def reconciled(self) -> Path:
        """Mirror pairs, parameters and reconciled flows."""
        return self.root / "reconciled"

    @property
    def passages(self) -> Path:
        """Flows of product families, their changes and breaks."""
        return self.root / "passages"

    @property
    def runs(self) -> Path:
        """One folder per run: the staging database, the export and the audit record."""
        return self.root / "runs"

    @property
    def releases(self) -> Path:
        """Published releases and the pointer to the latest one."""
        return self.root / "releases"

    @property
    def alerts(self) -> Path:
        """Alerts that were raised, and how far each was delivered."""
        return self.root / "alerts"

    @property
    def orchestrator(self) -> Path:
        """The orchestrator's own storage."""
        return self.root / "orchestrator"

    def run(self, run_id: str) -> Path:
        """The folder of one run."""
        return self.runs / run_id

    def staging_db(self, run_id: str) -> Path:
        """The DuckDB file that dbt builds in; analysts never read it."""
        return self.run(run_id) / "staging.duckdb"

    def said(self, run_id: str) -> Path:
        """What dbt and other tools printed during the run."""
        return self.run(run_id) / "said.txt"

    def audit_results(self, run_id: str) -> Path:
        """Results of the gates as one Parquet file."""
        return self.run(run_id) / "audit" / "results.parquet"

    def suite_results(self, run_id: str, suite: str) -> Path:
        """What one suite of the gate said, as JSON."""
        return self.run(run_id) / "audit" / f"{suite}.json"

    def audit_record(self, run_id: str) -> Path:
        """The stored audit record that publication re-reads."""
        return self.run(run_id) / "audit.json"

    def export(self, run_id: str) -> Path:
        """Public tables as Parquet, before the release id is stamped."""
        return self.run(run_id) / "export"

    def table(self, layer: str, name: str, period_key: str) -> Path:
        """The Parquet file of one table and period; layer is `contracted` or `reconciled`."""
        return self.root / layer / name / f"{period_key}.parquet"
