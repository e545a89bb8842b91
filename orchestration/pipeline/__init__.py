"""The stages of a run, each a plain function on folders.

Belongs here: reading inputs, calling the pure packages, writing results so that a killed run can start again
(a temporary name, a rename, the fingerprint last). Does not belong here: rules about trade (`comtrade`,
`reconcile`), checks (`expectations`) and anything of the orchestrator (`defs`).
"""
