"""Passages: the statistics behind the signals, on reconciled flows of product families.

Belongs here: pure functions on frames: flows of families, their change against the pair's own baseline, the month at
which a series breaks. Does not belong here: reading or writing, the orchestrator, grades and leads (dbt models), what
is controlled and where (reference tables). Order of calls: per period `family_flows`; across periods `with_silence`,
`baselines`, `changes`, `breaks`. Output speaks of anomalies, never of crimes.
"""

from orchestration.passages.breaks import breaks
from orchestration.passages.changes import changes
from orchestration.passages.families import FamilyTables, family_flows, family_members

__all__ = ["FamilyTables", "breaks", "changes", "family_flows", "family_members"]
