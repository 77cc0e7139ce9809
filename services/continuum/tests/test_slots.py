"""What may be done with a slot, and what is told of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst_continuum.domain import audit, slots
from catalyst_continuum.domain.facts import Fact
from catalyst_continuum.domain.lease import freeze, thaw
from catalyst_continuum.domain.parsing import parse
from catalyst_continuum.domain.record import Lease, State
from catalyst_continuum.domain.slots import (
    ContinuumExists,
    EpochMoved,
    Errand,
    HolderRemoved,
    NotSuspended,
    RunUnderWay,
    Slot,
)
from catalyst_continuum.domain.spec import Spec, SpecInvalid
from catalyst_continuum.domain.spec_rules import House
from catalyst_sdk import Decision

from services.continuum.tests.manifests import EAST, WEST, cell, having, lone, stateful

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUSE = House("demo")


def spec_of(**changes: Any) -> Spec:
    return parse(having(stateful(), **changes), HOUSE)


def made(**changes: Any) -> Slot:
    document = having(stateful(), **changes)
    return slots.create(
        None,
        "demo",
        "shop",
        document=json.dumps(document),
        spec=parse(document, HOUSE),
        uid="u",
        teller=EAST,
        by="ann",
        now=NOON,
    ).state


def held(slot: Slot, epoch: int = 1, seq: int = 1, holder: str = EAST, state: State = State.HELD) -> Decision[Slot]:
    return slots.noticed(slot, Lease(epoch, seq, state, holder), NOON)


def changed(slot: Slot, spec: Spec, before: Spec | None = None) -> Decision[Slot]:
    return slots.update(slot, before or spec_of(), spec, document="{}", changed=("spec.rto",), by="ann", now=NOON)


def words(decision: Decision[Slot]) -> list[str]:
    return [fact.subject for fact in decision.events if isinstance(fact, Fact)]


def frozen(slot: Slot) -> Slot:
    asked = slots.suspend(slot, wished=True, document="{}", by="ann", reason="", now=NOON).state
    lease = Lease(max(1, slot.epoch), slot.seq + 1, State.FROZEN, slot.holder)
    return slots.noticed(asked, lease, NOON, errand_done=True).state


def test_a_name_is_made_once() -> None:
    with pytest.raises(ContinuumExists):
        slots.create(made(), "demo", "shop", document="{}", spec=spec_of(), uid="v", teller="", by="bob", now=NOON)


def test_what_the_register_says_anew_is_told_and_an_older_reading_is_no_news() -> None:
    first = held(made())
    assert words(first) == ["epoch.advanced", "lease.acquired"]
    assert words(held(first.state, seq=2)) == []
    moved = held(first.state, epoch=2, seq=9, holder=WEST)
    assert words(moved) == ["epoch.advanced", "lease.acquired"]
    assert held(moved.state, epoch=1, seq=3).state.holder == WEST
    freed = held(moved.state, epoch=2, seq=10, holder="", state=State.FREE)
    assert words(freed) == ["lease.lost"]


def test_suspension_is_wished_first_and_told_when_the_register_is_frozen() -> None:
    slot = held(made()).state
    asked = slots.suspend(slot, wished=True, document="{}", by="ann", reason="maintenance", now=NOON)
    assert (asked.state.errand, asked.state.suspended, asked.state.frozen) == (Errand.FREEZE, True, False)
    assert words(asked) == ["continuum.updated"]
    assert slots.suspend(asked.state, wished=True, document="{}", by="bob", reason="", now=NOON).state is asked.state
    done = slots.noticed(asked.state, Lease(1, 2, State.FROZEN, EAST), NOON, errand_done=True)
    assert (done.state.errand, done.state.frozen, words(done)) == (Errand.NONE, True, ["continuum.suspended"])
    back = slots.suspend(done.state, wished=False, document="{}", by="ann", reason="", now=NOON)
    assert back.state.errand is Errand.THAW


def test_a_change_of_mind_asks_the_register_again_as_the_first_wish_may_still_be_done() -> None:
    slot = held(made()).state
    asked = slots.suspend(slot, wished=True, document="{}", by="ann", reason="", now=NOON).state
    assert slots.suspend(asked, wished=False, document="{}", by="ann", reason="", now=NOON).state.errand is Errand.THAW


def test_another_change_does_not_thaw_what_another_region_froze() -> None:
    slot = held(held(made()).state, seq=2, state=State.FROZEN).state
    assert changed(slot, spec_of(rto="2m")).state.errand is Errand.NONE
    assert slots.suspend(slot, wished=False, document="{}", by="ann", reason="", now=NOON).state.errand is Errand.THAW


CELLS = {"leaseClient": {"kind": "dns-quorum", "config": {"nameservers": [cell(4), cell(5), cell(6)]}}}


@pytest.mark.parametrize("changes", [CELLS, {"regions__0__lbIPs": ["198.51.100.9"]}])
def test_cells_and_regions_change_only_while_the_register_is_frozen(changes: dict[str, Any]) -> None:
    slot = held(made()).state
    with pytest.raises(NotSuspended):
        changed(slot, spec_of(**changes))
    asked = slots.suspend(slot, wished=True, document="{}", by="ann", reason="", now=NOON).state
    with pytest.raises(NotSuspended):
        changed(asked, spec_of(**changes))
    after = changed(frozen(slot), spec_of(suspend=True, **changes)).state
    assert after.generation == slot.generation + 2
    assert bool(after.left_cells) is (changes is CELLS), "the record is still in the cells of before"
    if changes is CELLS:
        with pytest.raises(RunUnderWay):
            changed(after, spec_of(suspend=True), before=spec_of(suspend=True, **changes))
        assert slots.settled(after, NOON).state.left_cells == ""
        stuck = slots.stuck(after, "it is handed over", NOON)
        assert [type(fact).__name__ for fact in stuck.events] == ["WitnessDegraded"]
        assert not slots.stuck(stuck.state, "it is handed over", NOON).events


def test_the_holders_region_stays() -> None:
    lonely = parse(lone() | {"applicationRef": {"name": "shop"}}, HOUSE)
    with pytest.raises(HolderRemoved):
        changed(frozen(held(made(), holder=WEST).state), lonely)


def test_the_application_of_a_slot_never_changes() -> None:
    with pytest.raises(SpecInvalid):
        changed(frozen(made()), spec_of(applicationRef={"name": "blog"}))


def test_only_what_is_frozen_is_deleted_and_a_second_life_goes_on_in_epoch_version_and_chain() -> None:
    slot = held(made()).state
    with pytest.raises(NotSuspended):
        slots.delete(slot, by="ann", now=NOON)
    gone = slots.delete(frozen(slot), by="ann", now=NOON)
    assert words(gone) == ["continuum.deleted"]
    again = slots.create(
        gone.state, "demo", "shop", document="{}", spec=spec_of(), uid="v", teller=EAST, by="ann", now=NOON
    ).state
    assert (again.epoch, again.version) == (1, gone.state.version + 1)
    assert again.errand is Errand.THAW, "the register is still frozen"
    assert again.chain != gone.state.chain


def test_a_slot_that_nobody_ever_held_is_deleted_without_a_register() -> None:
    asked = slots.suspend(made(), wished=True, document="{}", by="ann", reason="", now=NOON).state
    assert slots.delete(asked, by="ann", now=NOON).state.gone


def test_an_acknowledgement_of_another_epoch_is_refused() -> None:
    slot = held(made(), epoch=3).state
    assert slots.acknowledge(slot, expected=3, by="ann", comment="", now=NOON).state.acknowledged_at == NOON
    with pytest.raises(EpochMoved):
        slots.acknowledge(slot, expected=2, by="ann", comment="", now=NOON)


def test_what_a_sovereign_leaves_behind_frozen_is_thawed_before_it_is_given_back() -> None:
    slot = slots.want(None, "omantel", EAST, NOON).state
    assert slot is not None
    left = slots.leave(frozen(held(slot).state), NOON).state
    assert left is not None
    assert (left.suspended, left.errand) == (False, Errand.THAW)


def chain() -> list[audit.Record]:
    """The records of a life."""
    told: list[audit.Record] = []
    slot: Slot | None = None
    for decide in (
        lambda _: slots.create(
            None, "demo", "shop", document="{}", spec=spec_of(), uid="u", teller=EAST, by="ann", now=NOON
        ),
        held,
        lambda s: changed(s, spec_of(rto="2m")),
        lambda s: slots.suspend(
            s, wished=True, document="{}", by="ann", reason="why", now=NOON + timedelta(microseconds=7)
        ),
        lambda s: slots.noticed(s, freeze(Lease(1, 1, State.HELD, EAST), "00000001"), NOON, errand_done=True),  # type: ignore[arg-type]
        lambda s: slots.suspend(s, wished=False, document="{}", by="ann", reason="", now=NOON),
        lambda s: slots.noticed(s, thaw(Lease(1, 2, State.FROZEN, EAST), "00000002"), NOON, errand_done=True),  # type: ignore[arg-type]
    ):  # fmt: skip - a life
        decision = decide(slot)  # type: ignore[arg-type]
        slot = decision.state
        told += [fact.told for fact in decision.events if isinstance(fact, Fact)]
    return told


def test_what_is_told_of_a_slot_is_one_chain_without_a_gap() -> None:
    records = chain()
    assert list(audit.breaks(records)) == []
    assert [record.version for record in records] == list(range(1, 9))


@pytest.mark.parametrize("field", ["reason", "epoch", "at", "continuum", "evidence", "lag"])
def test_a_record_that_was_changed_shows(field: str) -> None:
    records = chain()
    other: dict[str, Any] = {
        "reason": "other",
        "epoch": 9,
        "at": NOON + timedelta(seconds=1),
        "continuum": "x",
        "evidence": {"a": "b"},
        "lag": 1.0,
    }
    records[3] = replace(records[3], **{field: other[field]})
    assert list(audit.breaks(records))


def test_a_first_record_that_follows_another_shows() -> None:
    first = replace(chain()[0], prev_hash="ab")
    assert list(audit.breaks([replace(first, hash=audit.digest(first))])) == [
        "version 1: the first record follows another one"
    ]


def test_a_change_that_changes_nothing_tells_nothing() -> None:
    slot = made()
    assert slots.update(slot, spec_of(), spec_of(), document="{}", changed=(), by="ann", now=NOON).state is slot


@pytest.mark.parametrize("at", range(1, 7))
def test_a_record_that_is_missing_shows(at: int) -> None:
    records = chain()
    del records[at]
    assert list(audit.breaks(records))


def test_two_agents_that_report_one_transition_report_one_event() -> None:
    one = held(made())
    other = held(slots.suspend(made(), wished=True, document="{}", by="bob", reason="", now=NOON).state, seq=5)
    ids = [[fact.event_id for fact in told.events if isinstance(fact, Fact)] for told in (one, other)]
    assert ids[0] == ids[1] == ["demo/shop:1:epoch:epoch.advanced", "demo/shop:1:epoch:lease.acquired"]
