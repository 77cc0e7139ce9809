"""Resource names, taken apart."""

from dataclasses import dataclass

from catalyst_mesh import Caller, caller
from catalyst_sdk import Code, Refused

from ..domain.sovereign import Sovereign
from ..domain.sovereigns import SovereignNotFound
from ..store import Store

SEES_ALL = ("sovereign-admin", "security-officer", "billing-admin")
SEES_OWN = ("org-admin", "org-developer", "org-viewer")
READS_LOGS = ("sovereign-admin", "security-officer", "org-admin", "org-developer")


class PlanNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "PLAN_NOT_FOUND", "there is no plan {name}"


class RunNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "RUN_NOT_FOUND", "there is no run {name}"


class RunTerminal(Refused):
    reason, message = "RUN_TERMINAL", "{run} is {state}"


class StepNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "STEP_NOT_FOUND", "there is no step {name}"


class ClusterNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "CLUSTER_NOT_FOUND", "there is no cluster {name}"


class ComponentNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "COMPONENT_NOT_FOUND", "there is no component {name}"


@dataclass(frozen=True, slots=True)
class Name:
    """`sovereigns/{sovereign}[/{kind}/{id}[/{kind}/{id}]]`."""

    sovereign: str
    id: str = ""
    sub: str = ""

    @classmethod
    def of(cls, name: str) -> "Name":
        """Take a checked name apart."""
        parts = name.split("/")
        return cls(parts[1], parts[3] if len(parts) > 3 else "", parts[5] if len(parts) > 5 else "")


def sees_all(who: Caller) -> bool:
    """Whether the caller may see every Sovereign."""
    return who.is_service() or who.has_role(*SEES_ALL)


async def visible(tx: Store, id: str, name: str) -> Sovereign:
    """The Sovereign, if it is there and the caller may see it; another's reads as absent."""
    held = await tx.sovereign(id)
    if held is None or not (sees_all(caller()) or caller().has_role(*SEES_OWN, org=held.organization)):
        raise SovereignNotFound(name=name)
    return held


async def locked(tx: Store, id: str, name: str) -> Sovereign:
    """The Sovereign, kept for this transaction."""
    held = await tx.lock(id)
    if held is None:
        raise SovereignNotFound(name=name)
    return held
