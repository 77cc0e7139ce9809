"""Each fact has its message, and each message of the contract its fact."""

from dataclasses import MISSING, fields
from datetime import UTC, datetime
from typing import Any

import pytest
from catalyst.continuum.v1 import events_pb2
from catalyst_continuum.domain import audit, facts, slots
from catalyst_continuum.domain.facts import Fact
from catalyst_continuum.domain.slots import Phase, Slot
from catalyst_continuum.messages import EMITTED, record_of

NOON = datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=UTC)
RUN = "namespaces/demo/continuums/shop/runs/abcdefghij"
VALUES: dict[Any, Any] = {
    str: "x",
    int: 1,
    float: 0.5,
    bool: True,
    datetime: NOON,
    tuple[str, ...]: ("a",),
    tuple[tuple[str, str, str], ...]: (("ann", "", "0123456789abcdef"),),
}
WORDS = {"kind": "SWITCHOVER", "state": "DONE"}


def made(kind: type[Fact]) -> Fact:
    """A fact with every field that it must have."""
    needed = {f.name: VALUES[f.type] for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    words = {name: word for name, word in WORDS.items() if name in needed}
    if kind is facts.RunCompleted:
        words["state"] = "SUCCEEDED"
    if kind is facts.DrillCompleted:
        words["kind"] = "ISOLATED"
    return kind(**{**needed, **words}, lag=1.25, step="3/14", run=RUN, evidence={"a": "b"}, reason="why")


@pytest.mark.parametrize("emitted", EMITTED, ids=lambda emitted: emitted.fact.__name__)
def test_a_fact_is_told_whole_and_its_record_is_read_back_as_it_was_hashed(emitted: Any) -> None:
    slot = Slot("demo", "shop", "hz-fsn-rtz-prod", Phase.HEALTHY, NOON, NOON, epoch=7, seq=41)
    (fact,) = slots.told(slot, NOON, made(emitted.fact)).events
    assert isinstance(fact, Fact)
    message = emitted.to_message(fact)
    record = record_of(message.DESCRIPTOR.full_name, message.SerializeToString())
    assert record == fact.told
    assert list(audit.breaks([record])) == []
    assert emitted.event_id(fact).startswith("demo/shop:7:")
    assert emitted.event_id(fact).endswith(f":{fact.subject}")
    assert emitted.subject == f"catalyst.v1.continuum.{fact.subject}"


def test_every_message_of_the_contract_has_a_fact() -> None:
    slot = Slot("demo", "shop", "hz-fsn-rtz-prod", Phase.HEALTHY, NOON, NOON)
    told = {
        emitted.to_message(slots.told(slot, NOON, made(emitted.fact)).events[0]).DESCRIPTOR.name for emitted in EMITTED
    }
    assert told == set(events_pb2.DESCRIPTOR.message_types_by_name)


def test_a_step_of_a_run_is_one_event_whoever_reports_it() -> None:
    one, other = (
        slots.told(
            Slot("demo", "shop", region, Phase.HEALTHY, NOON, NOON, epoch=2, version=v), NOON, made(facts.RunProgressed)
        )
        for region, v in (("hz-fsn-rtz-prod", 4), ("hz-hel-rtz-prod", 9))
    )
    ids = [decision.events[0].event_id for decision in (one, other) if isinstance(decision.events[0], Fact)]
    assert ids == ["demo/shop:2:abcdefghij.3:run.progressed"] * 2
