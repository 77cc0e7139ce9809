"""Sovereigns: the wish of an Organization, and how far it has become true.

Invariants, in whatever order commands and runs come:
  no gap       `version` grows by exactly one with each fact that is told of it;
  runs move    only a run changes `state`; a changed wish takes effect when a plan of it is applied;
  no guess     ACTIVE follows a run that ended in its own probe, DESTROYED one that swept twice and found nothing;
  first order  the order that paid is kept from the first apply that names it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from catalyst_sdk import Code, Decision, Refused

from .facts import Activated, Created, Destroyed, PlanApplied, RunStarted, Updated
from .sovereign import Sovereign, State
from .wishes import Document


class SovereignNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "SOVEREIGN_NOT_FOUND", "there is no Sovereign {name}"


class NameTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "NAME_TAKEN", "{name} exists already"


class FqdnTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "FQDN_TAKEN", "{fqdn} belongs to another Sovereign"


class EtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} has changed since it was read; its etag is {etag}"


class SovereignDestroyed(Refused):
    reason, message = "SOVEREIGN_DESTROYED", "{name} was destroyed; delete its record and describe it anew"


class SovereignExistsOutside(Refused):
    reason = "SOVEREIGN_EXISTS_OUTSIDE"
    message = "{name} is {state}; destroy it first, then delete its record"


class NotActive(Refused):
    reason, message = "NOT_ACTIVE", "{name} is {state} and was never active"


def create(
    *, id: str, uid: str, organization: str, fqdn: str, spec: Document, simulated: bool, actor: str, now: datetime
) -> Decision[Sovereign]:
    """A draft; nothing exists outside."""
    made = Sovereign(
        id,
        uid,
        organization,
        fqdn,
        spec,
        State.DRAFT,
        generation=1,
        version=1,
        created_at=now,
        updated_at=now,
        simulated=simulated,
    )  # fmt: skip - in the order of the fields
    return Decision(made, (Created(made, actor),))


def update(
    held: Sovereign, *, spec: Document, fqdn: str, paths: Sequence[str], actor: str, now: datetime
) -> Decision[Sovereign]:
    """A changed wish; a change of nothing changes nothing."""
    demand_alive(held)
    if not paths:
        return Decision(held)
    changed = held.told(now, spec=spec, fqdn=fqdn, generation=held.generation + 1)
    return Decision(changed, (Updated(changed, tuple(paths), actor),))


def demand_alive(held: Sovereign) -> None:
    """Raises SovereignDestroyed."""
    if held.state is State.DESTROYED:
        raise SovereignDestroyed(name=held.name)


def demand_active(held: Sovereign) -> None:
    """Raises NotActive for one that never was."""
    if held.activated_at is None:
        raise NotActive(name=held.name, state=held.state.upper())


def demand_etag(held: Sovereign, etag: str) -> None:
    """Raises EtagMismatch; an empty etag asks for nothing."""
    if etag and etag != held.etag:
        raise EtagMismatch(name=held.name, etag=held.etag)


def demand_deletable(held: Sovereign) -> None:
    """Raises SovereignExistsOutside unless nothing of it can exist."""
    if held.state not in (State.DRAFT, State.DESTROYED):
        raise SovereignExistsOutside(name=held.name, state=held.state.upper())


def apply(
    held: Sovereign,
    plan: Mapping[str, Any],
    *,
    run: str,
    steps: int,
    order: str,
    actor: str,
    now: datetime,
    supersedes: str = "",
) -> Decision[Sovereign]:
    """A run was made of a plan; the plan's spec is the wish from now on."""
    destroying = plan["intent"] == "INTENT_DESTROY"
    changed = held.spec != plan["spec"] and not destroying
    first = held.told(
        now,
        state=running_state(held, plan["intent"]),
        spec=plan["spec"] if changed else held.spec,
        generation=held.generation + changed,
        order=held.order or order,
        last_run=run,
        lock_digest=plan["inputs"].get("lock_digest") or held.lock_digest,
    )
    second = first.told(now)
    paying = second.order if not second.activated_at and not destroying else ""
    applied = PlanApplied(first, plan["name"], plan["intent"], plan["hash"], run, actor)
    return Decision(
        second, (applied, RunStarted(second, run, plan["name"], plan["intent"], steps, paying, actor, supersedes))
    )


def running_state(held: Sovereign, intent: str) -> State:
    """The state while a run of this intent works."""
    if intent == "INTENT_DESTROY":
        return State.DESTROYING
    return State.UPDATING if held.activated_at else State.PROVISIONING


def activate(
    held: Sovereign, run: str, generation: int, clusters: tuple[Mapping[str, Any], ...], size: Mapping[str, Any],
    now: datetime,
) -> Decision[Sovereign]:  # fmt: skip
    """A creation or change ended well: its last step has seen the console answer."""
    first = held.activated_at is None
    active = held.told(now, state=State.ACTIVE, activated_at=held.activated_at or now, applied_generation=generation)
    return Decision(active, (Activated(active, run, first, clusters, size),))


def went_back(held: Sovereign, run: str, spec: Document, lock_digest: str, now: datetime) -> Sovereign:
    """A change was cancelled and taken back: what was applied before is the wish again, and is true."""
    further = held.generation + 1
    return held.told(
        now, state=State.ACTIVE, spec=spec, generation=further, applied_generation=further, lock_digest=lock_digest,
        last_run=run,
    )  # fmt: skip


def finish_destroy(
    held: Sovereign, run: str, clusters: tuple[Mapping[str, Any], ...], report: Mapping[str, Any], now: datetime
) -> Decision[Sovereign]:
    """A destroy ended well: two empty sweeps were seen."""
    gone = held.told(now, state=State.DESTROYED, destroyed_at=now, report=report)
    return Decision(gone, (Destroyed(gone, run, clusters),))
