"""Pairing, the fitted parameters and reconciled flows as assets, with their checks.

Does not belong here: the formulas (`orchestration.reconcile`).
"""
