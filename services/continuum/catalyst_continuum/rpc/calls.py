"""What all methods on slots have in common: what they are made of, and whom a slot shows itself to."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from catalyst.continuum.v1 import resources_pb2, service_pb2_grpc
from catalyst_mesh import Caller, Work, caller
from catalyst_mesh.streams import Curfew
from catalyst_sdk import Code, Decision, Refused

from ..domain import status
from ..domain.runs import Run
from ..domain.slots import NAMESPACE, ContinuumNotFound, EtagMismatch, RunUnderWay, Slot
from ..domain.spec import Spec
from ..domain.spec_rules import House
from ..domain.timing import Profile
from ..store import Store
from ..workers.agent import Agent
from ..workers.planner import Planner
from ..workers.registers import Registers
from . import views
from .elsewhere import Elsewhere

LATELY = timedelta(seconds=30)
"""Older words of an agent are of one that is gone."""
SEES_ALL = ("sovereign-admin", "security-officer")
SEES_OWN = ("org-admin", "org-developer", "org-viewer")


def nobody(slot: str) -> Agent | None:
    """Where there are no agents."""
    return None


class FilterInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FILTER_INVALID", "the filter cannot be used: {detail}"
    field = "filter"


class Calls(service_pb2_grpc.ContinuumServiceServicer):
    """What the methods work with.

    region   whose daemon this is; empty where it is that of a control plane
    house    what the daemon adds to a wish; its namespace is each slot's own
    planner  of runs
    elsewhere  the daemons of other regions
    agents   of this daemon, by slot
    fences   seconds that the fencers of a slot with such a wish take at worst in this daemon's region, as they declare
    """

    def __init__(
        self, work: Work[Store], registers: Registers, profile: Profile, *, curfew: Curfew,
        house: House, planner: Planner, elsewhere: Elsewhere, region: str = "",
        agents: Callable[[str], Agent | None] = nobody, rehearses: Callable[[Spec], bool] = lambda spec: False,
        fences: Callable[[str, Spec], float] = lambda slot, spec: 0.0,
    ) -> None:  # fmt: skip
        self._work = work
        self._registers = registers
        self._profile = profile
        self._region = region
        self._house = house
        self._curfew = curfew
        self._planner = planner
        self._elsewhere = elsewhere
        self._agents = agents
        self._rehearses = rehearses
        self._fences = fences

    async def _seen(self, tx: Store, resource: str, *, lock: bool = False) -> Slot:
        """The slot, if it is there and the caller may see it; another's reads as absent. Raises ContinuumNotFound."""
        _, namespace, _, name = resource.split("/")[:4]
        slot = await tx.get(namespace, name, lock=lock) if sees(caller(), namespace) else None
        if slot is None or slot.gone:
            raise ContinuumNotFound(name=resource)
        return slot

    async def _locked(self, tx: Store, resource: str, etag: str, *roles: str) -> Slot:
        """The slot, kept for this transaction, of a caller with one of `roles`. Raises also RoleDenied, EtagMismatch."""
        slot = await self._seen(tx, resource, lock=True)
        caller().require("sovereign-admin", *roles, org=organization(slot.namespace), resource=resource)
        if etag and etag != slot.etag:
            raise EtagMismatch(name=resource)
        return slot

    async def _must_rest(self, tx: Store, slot: Slot) -> None:
        """Raises RunUnderWay where an agent told lately that it moves the slot. For order only: safety is the register's."""
        for region, (body, seen_at) in (await tx.observed(slot.namespace, slot.name)).items():
            if tx.now - seen_at < LATELY and status.read(body)[0].run_kind:
                raise RunUnderWay(name=slot.resource, region=region)

    def _shown(
        self, slot: Slot, observed: views.Observed, now: datetime, recent: Sequence[Run] = ()
    ) -> resources_pb2.Continuum:
        return views.continuum(
            slot, observed, self._registers.shown(slot).register, self._profile, self._house, self._region, now, recent
        )

    async def _written(
        self, step: Callable[[Store], Awaitable[Decision[Slot]]], *, validate_only: bool = False
    ) -> resources_pb2.Continuum:
        """Decide, save, and answer the slot as it is then, with what its agents saw of it last."""
        seen: tuple[views.Observed, datetime] | None = None

        async def looked(tx: Store) -> Decision[Slot]:
            nonlocal seen
            decision = await step(tx)
            seen = await tx.observed(decision.state.namespace, decision.state.name), tx.now
            return decision

        def shown(slot: Slot) -> resources_pb2.Continuum:
            return self._shown(slot, *(seen or ({}, slot.since)))

        ask: Any = self._work.rehearse if validate_only else self._work.run
        answer: resources_pb2.Continuum = await ask(looked, answer=shown)
        return answer


def organization(namespace: str) -> str | None:
    """Slug of the Organization whose a namespace is: the one of its name. The Sovereigns' own belong to none."""
    return None if namespace == NAMESPACE else namespace


def sees_all(who: Caller) -> bool:
    """Whether the caller may see every slot."""
    return who.is_service() or who.has_role(*SEES_ALL)


def sees(who: Caller, namespace: str) -> bool:
    """Whether the caller may see slots of a namespace."""
    org = organization(namespace)
    return sees_all(who) or (org is not None and who.has_role(*SEES_OWN, org=org))


def namespaces_of(who: Caller) -> Sequence[str] | None:
    """Namespaces whose slots the caller may see; None: all."""
    return None if sees_all(who) else sorted(org for org in who.organizations if sees(who, org))
