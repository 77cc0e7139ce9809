"""ContinuumService, put together from the parts that stand in files of their own."""

from .continuums import ContinuumCalls
from .health import HealthCalls
from .plans import PlanCalls
from .runs import RunCalls
from .suspension import SuspensionCalls


class ContinuumService(ContinuumCalls, SuspensionCalls, PlanCalls, RunCalls, HealthCalls):
    """Slots: the wish, what is known, suspension, plans, runs with their approvals, cells.

    Answers come from the database and from the cells, so that every replica gives the same, whichever keeps the slots.
    """
