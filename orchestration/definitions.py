"""Assembles the code location; nothing else."""

from orchestration.defs.build import build_definitions

defs = build_definitions()
