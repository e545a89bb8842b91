"""The orchestrator's view of the warehouse: assets, checks, jobs, schedules, sensors and the command line.

Belongs here: everything that imports dagster, and nothing that computes. Does not belong here: the work itself
(`orchestration.pipeline` and the pure packages), which must run without an orchestrator.
"""

import warnings

# Backfill policies, pools and owners of jobs are beta in the pinned version; the pin is what makes their use safe.
# Asked before anything imports dagster, since the decorators warn when a module is read.
warnings.filterwarnings("ignore", message=r".*is currently in beta, and may have breaking changes.*")
