"""A slot as the contract shows it: the wish, and what is known."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from catalyst.continuum.v1 import resources_pb2
from catalyst.mesh.v1 import resources_pb2 as mesh_pb2
from catalyst_mesh import span, stamp

from ..domain import status
from ..domain.record import State as Written
from ..domain.runs import Run
from ..domain.slots import Phase, Slot
from ..domain.spec import Spec
from ..domain.spec_rules import House
from ..domain.status import Condition, Facts, Shown, Truth
from ..domain.timing import Profile
from ..messages import length
from ..workers.outcomes import CellView
from ..workers.register import Register
from . import histories
from .specs import message, understood, wish_of

_TRUTHS = {
    Truth.TRUE: mesh_pb2.Condition.STATUS_TRUE,
    Truth.FALSE: mesh_pb2.Condition.STATUS_FALSE,
    Truth.UNKNOWN: mesh_pb2.Condition.STATUS_UNKNOWN,
}
_Status = resources_pb2.ContinuumStatus
Observed = Mapping[str, tuple[str, datetime]]


def continuum(
    slot: Slot, observed: Observed, register: Register, profile: Profile, house: House, region: str, now: datetime,
    recent: Sequence[Run] = (),
) -> resources_pb2.Continuum:  # fmt: skip
    """Everything about one slot, as `region` knows it; `recent` are its last runs, the newest first."""
    spec = understood(slot, house, profile)
    seen = known(slot, observed, register, profile, spec, region)
    facts, found = seen.facts, seen.conditions
    shown = status.phase(facts, spec, found, frozen=slot.frozen)
    if slot.phase is Phase.LEAVING:
        shown = Shown.PENDING
    answer = resources_pb2.Continuum(
        name=slot.resource, uid=slot.uid, etag=slot.etag, version=slot.version, create_time=stamp(slot.created_at),
        update_time=stamp(slot.since), generation=slot.generation, observed_generation=slot.observed_generation,
        spec=message(wish_of(slot)), status=_status(slot, facts, spec, shown, register, now), conditions=_conditions(found),
        facts=[resources_pb2.FactAge(fact="register", age=span((now - seen.at).total_seconds()))] if seen.at else [],
    )  # fmt: skip
    if not slot.document:
        _fill_times(answer.spec, spec)  # nobody wished for it, so it says what holds
    histories.fill(answer.status, slot, recent)
    if facts.record is not None and slot.seq:
        answer.register.CopyFrom(_record(slot, facts, spec))
    return answer


@dataclass(frozen=True, slots=True)
class Seen:
    """What a region knows of a slot, and since when; `at` None: what its keeper noted, as of now."""

    facts: Facts
    conditions: Sequence[Condition]
    at: datetime | None


def known(slot: Slot, observed: Observed, register: Register, profile: Profile, spec: Spec, region: str) -> Seen:
    """What the agent of a region tells; of a slot that has none, what its keeper noted."""
    teller = next((name for name in (region, slot.holder, *spec.members) if name in observed), "")
    if teller:
        return Seen(*status.read(observed[teller][0]), observed[teller][1])
    facts = _noted(slot, register, profile)
    return Seen(facts, status.carried((), status.conditions(facts, spec), slot.since), None)


def _noted(slot: Slot, register: Register, profile: Profile) -> Facts:
    cells: Iterable[CellView] = register.views.values()
    asked = [view for view in cells if view.reachable or view.message]
    is_known = slot.phase is Phase.HEALTHY or slot.frozen
    record = Written.FROZEN if slot.frozen else Written.HELD
    return Facts(
        slot.region, record if is_known and slot.holder else None, slot.holder, slot.epoch, slot.seq,
        cells=len(register.views) if asked else None, cells_up=sum(view.reachable for view in asked) if asked else None,
        cells_needed=register.quorum, span=profile.authority,
    )  # fmt: skip


def _status(
    slot: Slot, facts: Facts, spec: Spec, shown: Shown, register: Register, now: datetime
) -> resources_pb2.ContinuumStatus:
    remaining = facts.authority if facts.authority is not None else slot.remaining(now)
    lag = status.worst_lag(facts, spec) if spec.has_standby else None
    answer = _Status(
        phase=_Status.Phase.Value(f"PHASE_{shown.name}"), primary_region=slot.holder, lease_holder=slot.holder,
        epoch=slot.epoch, seq=slot.seq, self_region=facts.region, self_authority=_authority(remaining, facts.span),
        witness=_witness(slot, register), application=spec.application, hot_standby_absent=_absent(facts),
        sync_standby=sorted(facts.sync or ()), rto_worst_case=span(spec.rto_worst if spec.has_standby else None),
        replication_lag={name: length(one) for name, one in facts.lags.items() if one is not None},
        replication_gap_bytes={name: one for name, one in facts.gaps.items() if one is not None},
        max_replication_lag=span(lag),
        standby_available=any(facts.standbys.values()) if facts.standbys else None,
        lease_expire_time=stamp(slot.held_until) if slot.held_until else None,
    )  # fmt: skip
    if remaining:
        answer.authority_remaining.CopyFrom(length(remaining))
    return answer


def _authority(remaining: float, whole: float | None) -> resources_pb2.ContinuumStatus.Authority.ValueType:
    if not remaining:
        return _Status.AUTHORITY_NONE
    return _Status.AUTHORITY_EXPIRING if whole and remaining < whole / 2 else _Status.AUTHORITY_HELD


def _absent(facts: Facts) -> list[str]:
    return sorted({*facts.gone, *(region for region, there in facts.standbys.items() if there is False)})


def _witness(slot: Slot, register: Register) -> resources_pb2.WitnessStatus:
    cells = [
        resources_pb2.WitnessCellStatus(
            name=v.name, reachable=v.reachable, rtt=span(v.rtt), message=v.message, lag_ballots=v.lag,
            quarantined=v.quarantined, identity=v.identity,
        )
        for v in register.cells_of(slot.key)
    ]  # fmt: skip
    return resources_pb2.WitnessStatus(cells=cells, quorum=register.quorum, size=len(cells))


def _record(slot: Slot, facts: Facts, spec: Spec) -> resources_pb2.RegisterView:
    return resources_pb2.RegisterView(
        state=resources_pb2.RegisterView.State.Value(f"STATE_{(facts.record or '').upper()}"), epoch=slot.epoch, seq=slot.seq,
        holder=slot.holder, ttl=span(spec.profile.ttl),
    )  # fmt: skip


def _fill_times(told: resources_pb2.ContinuumSpec, spec: Spec) -> None:
    """The times that hold, and the mode."""
    config, times = told.lease_client.config, spec.profile
    for field, seconds in (
        ("ttl", times.ttl),
        ("renew_interval", times.renew),
        ("poll_interval", times.look),
        ("op_timeout", times.op),
        ("fence_budget", times.fence),
    ):  # fmt: skip - a table
        if not config.HasField(field):  # type: ignore[arg-type]  # these are its fields
            getattr(config, field).CopyFrom(length(seconds))
    told.primary_region = spec.primary
    told.mode = resources_pb2.ContinuumSpec.Mode.Value(f"MODE_{spec.mode.name}")


def _conditions(found: Sequence[Condition]) -> list[mesh_pb2.Condition]:
    return [
        mesh_pb2.Condition(
            type=one.type, status=_TRUTHS[one.status], reason=one.reason, message=one.message, since=stamp(one.since)
        )
        for one in found
    ]
