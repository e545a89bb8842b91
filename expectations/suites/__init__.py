"""The suites, one module each: functions that list the checks of one stage.

Belongs here: what is checked, as true sentences about the data. Does not belong here: limits, evidence and
reasons (`thresholds.csv`), SQL plumbing (`rules`), judgement (`engine`).
"""
