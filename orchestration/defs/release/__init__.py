"""Export, audit and publication as assets.

Does not belong here: how a release is written (`orchestration.release`) or what is checked (`expectations`).
"""
