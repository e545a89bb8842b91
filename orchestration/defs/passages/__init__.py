"""The stage of passages: statistics on families of goods.

Belongs here: assets of this stage. Does not belong here: formulas (`orchestration.passages`), signals and leads (dbt).
"""
