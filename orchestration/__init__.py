"""From declarations to a published release.

Belongs here: the packages that know the source (`comtrade`), the planted world (`sample`), the reconciliation
(`reconcile`), publication (`release`), the stages that tie them to folders (`pipeline`) and the orchestrator's
definitions (`defs`). Does not belong here: the gates (`expectations`) and the SQL models (`dbt_project`).
"""
