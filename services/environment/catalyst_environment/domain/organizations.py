"""Organizations: from the first step of their creation to the end of their name.

Invariants
  one name      a slug has at most one life at a time, and is blocked for 30 days after each;
  no gap        `version` grows by one with each change;
  owner only    whoever is not the owner takes nothing away without a reason;
  grace         until `purge_at` nothing of it has gone, and the deletion can be taken back; once `purging` it cannot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from catalyst_sdk import Code, Decision, Refused, Violation

from .conditions import Condition, noted

GRACE = timedelta(days=7)
BLOCKED = timedelta(days=30)
SETTABLE = frozenset({"display_name", "industry"})
ENVIRONMENT_TYPES = ("prod", "stg", "uat", "dev", "poc")
_LONGEST_NAME = 128


class State(StrEnum):
    PROVISIONING = "provisioning"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DELETING = "deleting"
    DELETED = "deleted"
    FAILED = "failed"


class Kind(StrEnum):
    CUSTOMER = "customer"
    INTERNAL = "internal"


UNPAID = "its plan is not paid"
"""Reason of a suspension that a payment ends."""
BILLING = "billing"
"""Who suspends and resumes for it."""


class Tier(StrEnum):
    SME = "sme"
    CORPORATE = "corporate"


class BillingMode(StrEnum):
    REAL = "real"
    CHARGEBACK = "chargeback"
    SHOWBACK = "showback"


class OrganizationInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "ORGANIZATION_INVALID"
    message = "{count} field(s) of the Organization are wrong: {fields}"

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        fields = ", ".join(sorted({v.field for v in violations}))
        super().__init__(violations=violations, count=len(violations), fields=fields)


class OrganizationExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "ORGANIZATION_EXISTS", "the name {organization} is taken"


class OrganizationState(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ORGANIZATION_STATE"
    message = "{organization} is {state}; this is possible while it is {possible}"


class OrganizationInactive(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ORGANIZATION_INACTIVE"
    message = "{organization} is {state}: nothing of it can be changed now"


class ConfirmationWrong(Refused):
    code, reason = Code.INVALID_ARGUMENT, "CONFIRMATION_WRONG"
    message = "whoever deletes {organization} types its slug"
    field = "confirm"


class ReasonMissing(Refused):
    code, reason = Code.INVALID_ARGUMENT, "REASON_MISSING"
    message = "whoever deletes {organization} without being its owner says why"
    field = "reason"


class FieldNotSettable(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FIELD_NOT_SETTABLE", "{fields} cannot be set"
    field = "update_mask"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants made; empty fields take their defaults."""

    display_name: str = ""
    kind: str = ""
    tier: str = ""
    billing_mode: str = ""
    industry: str = ""
    environment_type: str = ""


@dataclass(frozen=True, slots=True)
class Organization:
    """One life of a name."""

    slug: str
    uid: str
    display_name: str
    kind: Kind
    tier: Tier
    billing_mode: BillingMode
    industry: str
    environment_type: str
    owner: str
    """Id of the member who cannot be removed."""
    state: State
    run: str
    """Id of the run that works on it, or did last."""
    created_at: datetime
    updated_at: datetime
    version: int
    plan: str = ""
    reason: str = ""
    conditions: tuple[Condition, ...] = ()
    before: State | None = None
    """State to which a deletion that is taken back returns."""
    purge_at: datetime | None = None
    purging: bool = False
    deleted_by: str = ""
    blocked_until: datetime | None = None

    @property
    def name(self) -> str:
        return f"organizations/{self.slug}"

    def owned_by(self, member: str, now: datetime) -> "Organization":
        """The same with another owner."""
        return _moved(self, now, owner=member)

    def answers_to(self, q: str) -> bool:
        """Whether a search for `q` finds it: by a part of its slug or of what people call it, whatever the case."""
        return q.casefold() in self.sought

    @property
    def sought(self) -> str:
        """What a search looks in, its case folded: the slug and what people call it, a line each."""
        return f"{self.slug}\n{self.display_name.casefold()}"

    @property
    def sought_version(self) -> int:
        """Version of which `sought` tells."""
        return self.version


def is_stopped(held: Organization) -> bool:
    """Whether nothing of it runs: it is suspended, also while it is being taken away from there."""
    return State.SUSPENDED in (held.state, held.before if held.state is State.DELETING else None)


@dataclass(frozen=True, slots=True)
class Created:
    organization: Organization
    owner: str
    """Subject of the owner."""


@dataclass(frozen=True, slots=True)
class Activated:
    organization: Organization


@dataclass(frozen=True, slots=True)
class Updated:
    organization: Organization


@dataclass(frozen=True, slots=True)
class Suspended:
    organization: Organization
    actor: str


@dataclass(frozen=True, slots=True)
class Resumed:
    organization: Organization
    actor: str


@dataclass(frozen=True, slots=True)
class Deleted:
    organization: Organization


def create(
    known: Organization | None, slug: str, wish: Wish, *, uid: str, run: str, owner: str, subject: str, now: datetime
) -> Decision[Organization]:
    """Take the name and begin.

    owner, subject   id of the member who will own it, and whose token that is

    Raises OrganizationExists, OrganizationInvalid.
    """
    if not is_free(known, now):
        raise OrganizationExists(organization=f"organizations/{slug}")
    made = Organization(
        slug=slug,
        uid=uid,
        display_name=wish.display_name or slug,
        owner=owner,
        state=State.PROVISIONING,
        run=run,
        created_at=now,
        updated_at=now,
        version=known.version + 1 if known else 1,
        industry=wish.industry,
        **_read(wish),
    )
    return Decision(made, (Created(made, subject),))


def is_free(known: Organization | None, now: datetime) -> bool:
    """Whether somebody may take the name that `known` has or had."""
    return known is None or (
        known.state is State.DELETED and known.blocked_until is not None and known.blocked_until <= now
    )


def _read(wish: Wish) -> Mapping[str, Any]:
    """The fields that never change. Raises OrganizationInvalid with all that is wrong."""
    wrong = []
    kind = Kind(wish.kind or Kind.CUSTOMER)
    usual = BillingMode.REAL if kind is Kind.CUSTOMER else BillingMode.SHOWBACK
    mode = BillingMode(wish.billing_mode or usual)
    if mode is BillingMode.REAL and kind is not Kind.CUSTOMER:
        wrong.append(Violation("organization.billing_mode", "only a customer pays", "kind"))
    if wish.environment_type and wish.environment_type not in ENVIRONMENT_TYPES:
        types = ", ".join(ENVIRONMENT_TYPES)
        wrong.append(Violation("organization.default_environment_type", f"it is one of {types}", "in"))
    wrong += _wrong_name(wish.display_name)
    if wrong:
        raise OrganizationInvalid(tuple(wrong))
    return {
        "kind": kind,
        "tier": Tier(wish.tier or Tier.SME),
        "billing_mode": mode,
        "environment_type": wish.environment_type or "prod",
    }


def _wrong_name(name: str) -> list[Violation]:
    if len(name) > _LONGEST_NAME or any(not letter.isprintable() for letter in name):
        return [Violation("organization.display_name", "1 to 128 characters that can be printed", "text")]
    return []


def update(held: Organization, values: Mapping[str, str], now: datetime) -> Decision[Organization]:
    """Change what people may change. Raises OrganizationInvalid, OrganizationState."""
    demand(held, State.ACTIVE, State.SUSPENDED, State.FAILED)
    if wrong := _wrong_name(values.get("display_name", "")):
        raise OrganizationInvalid(tuple(wrong))
    after = _moved(held, now, **{**values, "display_name": values.get("display_name", held.display_name) or held.slug})
    return Decision(after, (Updated(after),))


def note(held: Organization, condition: Condition, now: datetime) -> Decision[Organization]:
    """Remember what was seen of it. Nothing is told where nothing turned."""
    conditions = noted(held.conditions, condition)
    if conditions == held.conditions:
        return Decision(held)
    after = _moved(held, now, conditions=conditions)
    return Decision(after, (Updated(after),))


def activate(held: Organization, now: datetime) -> Decision[Organization]:
    """Everything that it needs here was made. Said twice it changes nothing."""
    if held.state is State.ACTIVE:
        return Decision(held)
    after = _moved(held, now, state=State.ACTIVE, reason="")
    return Decision(after, (Activated(after),))


def fail(held: Organization, step: str, now: datetime) -> Decision[Organization]:
    """A step failed for good. On its way out it stays there, and says which step holds it."""
    state = held.state if held.state is State.DELETING else State.FAILED
    after = _moved(held, now, state=state, reason=step)
    return Decision(after, (Updated(after),))


def retry(held: Organization, now: datetime) -> Decision[Organization]:
    """Its run goes on."""
    state = State.PROVISIONING if held.state is State.FAILED else held.state
    after = _moved(held, now, state=state, reason="")
    return Decision(after, (Updated(after),))


def suspend(held: Organization, reason: str, actor: str, now: datetime) -> Decision[Organization]:
    """Let nothing be changed any more. Raises OrganizationState."""
    demand(held, State.ACTIVE)
    after = _moved(held, now, state=State.SUSPENDED, reason=reason)
    return Decision(after, (Suspended(after, actor),))


def resume(held: Organization, actor: str, now: datetime) -> Decision[Organization]:
    """End a suspension. Raises OrganizationState."""
    demand(held, State.SUSPENDED)
    after = _moved(held, now, state=State.ACTIVE, reason="")
    return Decision(after, (Resumed(after, actor),))


def subscribe(held: Organization, plan: str, now: datetime) -> Decision[Organization]:
    """A paid order says by which plan it is limited; empty: by none any more."""
    name = f"plans/{plan}" if plan else ""
    if held.plan == name or held.state is State.DELETED:
        return Decision(held)
    after = _moved(held, now, plan=name)
    return Decision(after, (Updated(after),))


def lapse(held: Organization, now: datetime) -> Decision[Organization]:
    """Its plan stays unpaid: nothing may be changed any more, and nothing of it is taken away."""
    return suspend(held, UNPAID, BILLING, now) if held.state is State.ACTIVE else Decision(held)


def settle(held: Organization, now: datetime) -> Decision[Organization]:
    """Its debt is paid. What people suspended for another reason stays so."""
    if held.state is not State.SUSPENDED or held.reason != UNPAID:
        return Decision(held)
    return resume(held, BILLING, now)


def delete(
    held: Organization, *, confirm: str, reason: str, is_owner: bool, run: str, actor: str, grace: timedelta,
    now: datetime,
) -> Decision[Organization]:  # fmt: skip
    """Begin to take it away. Raises OrganizationState, ConfirmationWrong, ReasonMissing."""
    demand(held, State.ACTIVE, State.SUSPENDED, State.FAILED)
    if confirm != held.slug:
        raise ConfirmationWrong(organization=held.name)
    if not is_owner and not reason:
        raise ReasonMissing(organization=held.name)
    after = _moved(
        held,
        now,
        state=State.DELETING,
        before=held.state,
        reason=reason,
        run=run,
        deleted_by=actor,
        purge_at=now + grace,
    )
    return Decision(after, (Updated(after),))


def undelete(held: Organization, now: datetime) -> Decision[Organization]:
    """Take a deletion back while nothing has gone. Raises OrganizationState."""
    demand(held, State.DELETING)
    if held.purging or held.before is None:
        raise OrganizationState(organization=held.name, state="being purged", possible="in its time of grace")
    after = _moved(held, now, state=held.before, before=None, reason="", purge_at=None, deleted_by="")
    return Decision(after, (Updated(after),))


def purge(held: Organization, now: datetime) -> Decision[Organization]:
    """The grace is over: from now on it cannot be taken back. Raises OrganizationState."""
    demand(held, State.DELETING)
    if held.purging:
        return Decision(held)
    after = _moved(held, now, purging=True)
    return Decision(after, (Updated(after),))


def finish(held: Organization, now: datetime) -> Decision[Organization]:
    """Everything of it has gone."""
    if held.state is State.DELETED:
        return Decision(held)
    after = _moved(held, now, state=State.DELETED, purge_at=None, blocked_until=now + BLOCKED, plan="")
    return Decision(after, (Deleted(after),))


def demand(held: Organization, *states: State) -> None:
    """Raises OrganizationState unless it is in one of `states`."""
    if held.state not in states:
        raise OrganizationState(organization=held.name, state=held.state, possible=", ".join(states))


def demand_changeable(held: Organization) -> None:
    """Whether what it has may be changed. Raises OrganizationInactive."""
    if held.state is not State.ACTIVE:
        raise OrganizationInactive(organization=held.name, state=held.state)


def _moved(held: Organization, now: datetime, **changes: Any) -> Organization:
    return replace(held, **changes, updated_at=now, version=held.version + 1)
