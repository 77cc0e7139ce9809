"""ContinuumService, put together from the parts that stand in files of their own."""

from .continuums import ContinuumCalls
from .health import HealthCalls
from .suspension import SuspensionCalls
from .witness import WitnessCalls


class ContinuumService(ContinuumCalls, SuspensionCalls, HealthCalls, WitnessCalls):
    """Slots: the wish, what is known, suspension, cells. Runs, approvals and drills are not served yet.

    Answers come from the database and from the cells, so that every replica gives the same, whichever keeps the slots.
    """
