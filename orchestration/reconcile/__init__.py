"""Reconciliation: from two declarations of a shipment to one flow with an interval.

Belongs here: pure functions on frames of one period plus small parameter tables (orientation, pairing, valuation,
reliability, value and interval). Does not belong here: reading or writing, the orchestrator, what makes a passage.
A period may be worked in slices of exporters: `pair` then takes the `period_facts` of all its parts joined, and the
`thin_` functions bound what the slices together teach.
Order of calls: per period `roll_up_year` (years only), `pair`, `nes_declared`, `valuation_training`; across periods
`fit_valuation`; per period `apply_valuation`, `with_previous_month` (months only), `reliability_training` and
`quantity_training`; across periods `fit_reliability`, once per measure, months before years (which take the fitted
months); per period `estimate` and `reconcile_quantities`, then `mirror_totals` and `rake_totals` with `rake_flows`,
`reallocate_nes` with `with_nes`.
Every engine that can map a function over partitions can run it.
"""

from orchestration.reconcile.arrival_frames import with_previous_month
from orchestration.reconcile.cif_model import ValuationModel, fit_valuation
from orchestration.reconcile.cif_training import thin_valuation_training, valuation_training
from orchestration.reconcile.conservation import account_of_pairs
from orchestration.reconcile.estimate import METHOD_VERSION, estimate
from orchestration.reconcile.estimators import ESTIMATORS, Estimator, VarianceComponents
from orchestration.reconcile.nes import nes_declared, reallocate_nes, with_nes
from orchestration.reconcile.pair import PairResult, pair
from orchestration.reconcile.period_facts import PeriodFacts, join_facts, period_facts
from orchestration.reconcile.quantities import (
    MEASURES,
    MODEL_TABLES,
    NET_WEIGHT,
    UNIT_VALUE,
    VALUE,
    model_of,
    quantity_training,
    reconcile_quantities,
    stack_models,
)
from orchestration.reconcile.raking import RAKING_STATUSES, rake_flows, rake_totals
from orchestration.reconcile.reliability import (
    LEANS_ON,
    ReliabilityModel,
    fit_reliability,
    join_models,
    reliability_training,
    thin_reliability_training,
)
from orchestration.reconcile.reporting import STATUSES, flow_side
from orchestration.reconcile.rollup import as_year, can_roll_up, complete_sides, months_filed, roll_up_year
from orchestration.reconcile.tables import ReconcileTables
from orchestration.reconcile.totals import CONTROL_TOTALS_NEEDED, mirror_totals
from orchestration.reconcile.valuation import apply_valuation, cif_sources

__all__ = [
    "CONTROL_TOTALS_NEEDED",
    "ESTIMATORS",
    "LEANS_ON",
    "MEASURES",
    "METHOD_VERSION",
    "MODEL_TABLES",
    "NET_WEIGHT",
    "RAKING_STATUSES",
    "STATUSES",
    "UNIT_VALUE",
    "VALUE",
    "Estimator",
    "PairResult",
    "PeriodFacts",
    "ReconcileTables",
    "ReliabilityModel",
    "ValuationModel",
    "VarianceComponents",
    "account_of_pairs",
    "apply_valuation",
    "as_year",
    "can_roll_up",
    "cif_sources",
    "complete_sides",
    "estimate",
    "fit_reliability",
    "fit_valuation",
    "flow_side",
    "join_facts",
    "join_models",
    "mirror_totals",
    "model_of",
    "months_filed",
    "nes_declared",
    "pair",
    "period_facts",
    "quantity_training",
    "rake_flows",
    "rake_totals",
    "reallocate_nes",
    "reconcile_quantities",
    "reliability_training",
    "roll_up_year",
    "stack_models",
    "thin_reliability_training",
    "thin_valuation_training",
    "valuation_training",
    "with_nes",
    "with_previous_month",
]
