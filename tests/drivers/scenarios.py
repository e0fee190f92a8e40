"""The scenario table: what a visitor does, and what every driver and adapter must make of it.

The table knows no framework; the runners do. Where a step's field is None the table demands
nothing, but all runners must agree.
"""

from __future__ import annotations

from .scenarios_answers import CACHES, FAILURES, OUTAGES, STREAMS
from .scenarios_areas import AREAS, RECENT
from .scenarios_identity import ENDINGS, FORGETTING, IDENTITIES
from .scenarios_visits import BUDGET, COOKIES, DATA
from .steps import Scenario, Step

__all__ = ["SCENARIOS", "Scenario", "Step"]

SCENARIOS: tuple[Scenario, ...] = (
    *BUDGET,
    *COOKIES,
    *DATA,
    *IDENTITIES,
    *FAILURES,
    *ENDINGS,
    *FORGETTING,
    *CACHES,
    *STREAMS,
    *OUTAGES,
    *AREAS,
    *RECENT,
)
