"""Names inside of their pool's zone: what is written for them, whose it is, and when they may be seen."""

from dataclasses import replace

from catalyst_pool_domain_manager.domain import allocations, inside, zones
from catalyst_pool_domain_manager.domain.allocations import State
from catalyst_pool_domain_manager.domain.conditions import RECORDS_PUBLISHED, unknown
from catalyst_pool_domain_manager.domain.pools import ZoneMode
from catalyst_pool_domain_manager.workers.reconciler import following
from catalyst_sdk.dns import Change, RecordSet, ZoneState

from .makers import ACME, ELSEWHERE, HOME, NAME, NOON, POOL, TOKEN

SHARED = replace(POOL, zone_mode=ZoneMode.IN_PARENT)
ACME_INSIDE = allocations.commit(
    allocations.reserve(None, replace(ACME, inside=True, warm=True), NOON).state, NAME, TOKEN, HOME, NOON
).state
OTHER = RecordSet("notacme.omani.works.", "A", 60, ("127.7.9.9",))


def parent(*records: RecordSet) -> ZoneState:
    return ZoneState("omani.works.", "tree", 1, 1, True, records, (), "e")


def after(state: ZoneState, *changes: Change) -> ZoneState:
    """The zone with the changes made."""
    held = {(r.name, r.type): r for r in state.record_sets}
    for one in changes:
        held.pop((one.name, one.type), None)
        if one.records:
            held[one.name, one.type] = RecordSet(one.name, one.type, one.ttl, one.records)
    return replace(state, record_sets=tuple(held.values()))


def published() -> ZoneState:
    return after(parent(OTHER), *inside.corrections(ACME_INSIDE, SHARED, parent(OTHER)))


def test_all_records_of_a_name_come_with_its_mark_and_again_there_is_nothing_to_do() -> None:
    there = published()
    assert {(r.name, r.type) for r in there.record_sets if r.type == "A"} >= {
        (OTHER.name, "A"), ("acme.omani.works.", "A"), ("console.acme.omani.works.", "A"),
    }  # fmt: skip
    assert inside.is_marked(ACME_INSIDE, SHARED, there)
    assert inside.corrections(ACME_INSIDE, SHARED, there) == ()
    moved = inside.corrections(replace(ACME_INSIDE, targets=ELSEWHERE), SHARED, there)
    assert {(c.type, c.records) for c in moved} == {("A", ("127.7.0.2",))}


def test_they_go_by_one_change_and_the_neighbour_stays() -> None:
    there = published()
    planted = RecordSet("shop.acme.omani.works.", "A", 60, ("127.7.9.9",))
    left = after(there, *inside.removals(ACME_INSIDE, SHARED, after(there, Change(*_data(planted)))))
    assert left.record_sets == (OTHER,)


def test_without_its_mark_only_what_was_wished_goes() -> None:
    planted = RecordSet("shop.acme.omani.works.", "A", 60, ("127.7.9.9",))
    unmarked = after(
        published(), Change(*_data(planted)), Change(inside.mark(ACME_INSIDE, SHARED).name, "TXT")
    )  # fmt: skip
    left = after(unmarked, *inside.removals(ACME_INSIDE, SHARED, unmarked))
    assert set(left.record_sets) == {OTHER, planted}


def test_another_life_of_the_name_is_a_stranger_and_a_challenge_is_none() -> None:
    challenge = RecordSet("_acme-challenge.acme.omani.works.", "TXT", 60, ('"x"',))
    assert inside.foreign(ACME_INSIDE, SHARED, parent(OTHER, challenge)) == ()
    assert inside.foreign(ACME_INSIDE, SHARED, published()) == ()
    assert inside.foreign(replace(ACME_INSIDE, uid="another"), SHARED, published())


def test_a_name_whose_records_may_be_there_rests_and_one_that_never_had_any_is_free() -> None:
    def plan(*seen: str) -> list[str]:
        conditions = tuple(unknown(kind, "Writing", "") for kind in seen)
        a = replace(ACME_INSIDE, state=State.RELEASING, step="", conditions=conditions)
        names = []
        while (found := following(replace(a, step=names[-1] if names else "")))[1] is not None:
            names.append(found[0])
        return names

    assert (plan(), plan(RECORDS_PUBLISHED)) == ([], ["r2", "r3"])
    assert following(ACME_INSIDE)[0] == "c1"


def test_there_is_no_zone_to_be_warmed() -> None:
    assert not ACME_INSIDE.warm


def test_records_of_held_names_keep_no_label_from_anybody_in_such_a_pool() -> None:
    def in_use(held: frozenset[str]) -> frozenset[str]:
        return zones.labels_in_use(SHARED, published(), held=held, servers=frozenset())

    assert in_use(frozenset({"acme"})) == {"notacme"}
    assert in_use(frozenset()) == {"acme", "notacme"}


def _data(r: RecordSet) -> tuple[str, str, int, tuple[str, ...]]:
    return r.name, r.type, r.ttl, r.records
