"""The orchestrator's view of the warehouse: assets, checks, jobs, schedules, sensors and the command line.

Belongs here: everything that imports dagster, and nothing that computes. Does not belong here: the work itself
(`orchestration.pipeline` and the pure packages), which must run without an orchestrator.
"""
