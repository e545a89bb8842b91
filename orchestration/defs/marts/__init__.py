"""The SQL models as assets, and their tests as checks.

Belongs here: how dbt models are named, grouped and run. Does not belong here: SQL (`dbt_project`).
"""
