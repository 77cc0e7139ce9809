"""Locks, graphs, trees, costs, ranges, plans: the same inputs give the same outputs."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from catalyst_mesh.journal import Step
from catalyst_mesh.journal.graph import ordered as acceptable
from catalyst_provisioner.data import reference
from catalyst_provisioner.domain import cidrs, conditions, costs, enrolments, graphs, locks, plans, trees
from catalyst_provisioner.domain.component_states import ComponentState
from catalyst_provisioner.domain.conditions import ClusterFacts, ComponentFact, Facts
from catalyst_provisioner.domain.costs import Line
from catalyst_provisioner.domain.locks import Component, Lock
from catalyst_sdk.cloud import Price
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FACTS = reference()
names = st.lists(st.sampled_from([f"bp-{c}" for c in "abcdefgh"]), unique=True, min_size=1)


@st.composite
def kits(draw: st.DrawFn) -> list[Component]:
    """Components that need only those before them, in any order."""
    found = draw(names)
    rows = []
    for i, name in enumerate(found):
        needs = draw(st.lists(st.sampled_from(found[:i]), unique=True)) if i else []
        rows.append(Component(name, "1.0.0", f"sha256:{i:064}", tuple(needs), optional=draw(st.booleans())))
    return draw(st.permutations(rows))


@given(kits(), st.randoms())
def test_the_order_puts_needs_first_and_does_not_depend_on_the_input_s_order(
    kit: list[Component], random: object
) -> None:
    found = locks.ordered(kit)
    place = {component.name: i for i, component in enumerate(found)}
    assert all(place[need] < place[c.name] for c in found for need in c.needs)
    assert all(c.wave == 1 + max((found[place[n]].wave for n in c.needs), default=0) for c in found)
    assert found == locks.ordered(reversed(kit))


def test_components_that_need_each_other_are_named() -> None:
    with pytest.raises(locks.NeedsCircle, match="bp-a -> bp-b -> bp-a"):
        locks.ordered([Component("bp-a", "1", "", ("bp-b",)), Component("bp-b", "1", "", ("bp-a",))])


@given(kits(), st.integers(1, 3))
def test_the_graph_of_a_creation_is_one_that_the_journal_takes(kit: list[Component], clusters: int) -> None:
    rows = [{"name": c.name, "needs": list(c.needs), "optional": c.optional} for c in locks.ordered(kit)]
    scope = {"clusters": [{"name": f"c{i}", "components": rows} for i in range(clusters)]}
    shapes = graphs.provision(scope)

    async def nothing(ctx: object) -> None: ...

    order = list(acceptable(Step(shape.id, nothing, needs=shape.needs) for shape in shapes))
    assert order.index("name.reserve") < min(order.index(f"infra.c{i}") for i in range(clusters))
    assert order[-1] == "probe" or all(
        shape.optional for shape in shapes if order.index(shape.id) > order.index("probe")
    )
    probe = next(shape for shape in shapes if shape.id == "probe")
    assert {s.id for s in shapes if s.component and not s.optional} <= set(probe.needs)


def test_a_destroy_gives_the_name_back_last_and_only_after_two_looks() -> None:
    order = [shape.id for shape in graphs.destroy({"clusters": [{"name": "a"}, {"name": "b"}]})]
    assert order == ["quiesce", "remove.a", "remove.b", "sweep", "verify", "git.remove", "name.release", "shred"]


def tree_facts() -> trees.TreeFacts:
    cluster = {"name": "sb-east-mgt-dev", "provider": "sandbox", "location_code": "bemp", "k3s_version": "v1.31.4+k3s1"}
    return trees.TreeFacts("sovereigns/a", "a.b", "org", 1, "0" * 64, "registry/x", (cluster,), {"bp-a": {"x": 1}})


@given(kits())
def test_the_same_inputs_render_the_same_bytes_and_no_secret(kit: list[Component]) -> None:
    lock = Lock("sha256:1", locks.ordered(kit))
    files = trees.render(tree_facts(), lock)
    assert files == trees.render(tree_facts(), Lock("sha256:1", locks.ordered(reversed(kit))))
    assert not any(b"password" in content or b"token" in content for content in files.values())
    for component in lock.components:
        _, _, release = files[f"clusters/a.b/sb-east-mgt-dev/kit/{component.name}.yaml"].split(b"---\n")
        wished = json.loads(release)["spec"]["dependsOn"]
        assert {one["name"] for one in wished} == set(component.needs)


def test_the_tree_brings_the_probes_of_what_it_installs_and_of_nothing_else() -> None:
    facts = replace(tree_facts(), probes={"bp-a": {"http": "/ready"}, "bp-other": {"check": "rollout complete"}})
    path = "clusters/a.b/sb-east-mgt-dev/config/probes.yaml"
    told = json.loads(trees.render(facts, Lock("sha256:1", (Component("bp-a", "1", "sha256:a"),)))[path][4:])
    assert told["data"] == {"bp-a": '{"http": "/ready"}'}
    assert path not in trees.render(tree_facts(), Lock("sha256:1", ()))


def test_what_has_no_price_is_listed_and_never_counted_as_nothing() -> None:
    price = Price("EUR", 10_000, 730)
    found = costs.cost([Line("c", "server", "s1", "sb2", price), Line("c", "volume", "v1", "", None)], "EUR")
    assert (found["total"]["month"]["minor"], found["unpriced"]) == ("730", ["c/v1"])
    with pytest.raises(ValueError, match="OMR"):
        costs.cost([Line("c", "server", "s1", "sb2", replace(price, currency="OMR"))], "EUR")


@given(st.sets(st.integers(0, FACTS.max_clusters - 1), min_size=2, max_size=2))
def test_the_ranges_of_two_clusters_never_touch(indexes: set[int]) -> None:
    first, second = (cidrs.ranges(FACTS.cidrs, index) for index in sorted(indexes))
    assert not any(cidrs.overlapping(a, b) for a in first.all() for b in second.all())
    assert cidrs.overlapping(first.nodes, first.node_subnet)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_the_canonical_form_does_not_know_the_order_of_keys(body: dict[str, object]) -> None:
    assert plans.canonical(body) == plans.canonical(dict(reversed(body.items())))


def facts(heartbeat: datetime | None, *states: ComponentState) -> Facts:
    rows = tuple(ComponentFact(state, False, NOON) for state in states)
    cluster = ClusterFacts("c", NOON, heartbeat, True, 3, 3, rows)
    return Facts(NOON, NOON, NOON, NOON, NOON, (cluster,), True)


def status(found: Facts, now: datetime = NOON) -> dict[str, str]:
    return {c.type: c.status for c in conditions.of_sovereign(found, now)}


def test_a_silent_agent_makes_everything_that_hangs_on_it_unknown() -> None:
    known = facts(NOON, ComponentState.READY)
    assert status(known)["Ready"] == conditions.TRUE
    later = status(known, NOON + timedelta(seconds=91))
    assert {later[kind] for kind in ("AgentConnected", "ComponentsReady", "ControlPlaneReady", "Ready")} == {
        conditions.UNKNOWN
    }
    assert later["InfraReady"] == conditions.TRUE


def test_a_control_plane_and_an_agent_are_as_they_are_since_the_last_change_or_silence() -> None:
    minute = timedelta(minutes=1)
    kept: dict[str, Any] = {}
    since = []
    for at, told in (
        (0 * minute, {"api_healthy": True, "ready_nodes": 3}),
        (1 * minute, {"api_healthy": True, "ready_nodes": 3, "voting_members": 1}),
        (2 * minute, {"api_healthy": True, "ready_nodes": 2}),
        (5 * minute, {"api_healthy": True, "ready_nodes": 2}),
    ):
        heard_at = NOON + at - (3 * minute if at == 5 * minute else minute)
        kept = conditions.signs(kept, told, heard_at=heard_at if kept else None, now=NOON + at)
        since.append(tuple(datetime.fromisoformat(kept[k]) - NOON for k in ("plane_since", "heard_since")))
    assert since == [(0 * minute,) * 2, (0 * minute,) * 2, (2 * minute, 0 * minute), (5 * minute,) * 2]
    known = facts(NOON, ComponentState.READY)
    seen = replace(known.clusters[0], plane_since=NOON - minute, heard_since=NOON - 2 * minute)
    told_since = {c.type: c.since for c in conditions.of_sovereign(replace(known, clusters=(seen,)), NOON)}
    assert told_since["ControlPlaneReady"] == NOON - minute
    assert told_since["AgentConnected"] == NOON - 2 * minute


def test_no_components_are_not_ready_components() -> None:
    assert status(facts(NOON))["ComponentsReady"] == conditions.UNKNOWN
    assert status(facts(NOON, ComponentState.PENDING))["Ready"] == conditions.FALSE


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"token": "wrong"}, enrolments.TokenUnknown),
        ({"server_id": "srv-2"}, enrolments.TokenOtherServer),
        ({"now": NOON + timedelta(hours=1)}, enrolments.TokenExpired),
    ],
)
def test_a_token_counts_for_its_server_in_its_time(change: dict[str, object], refusal: type[Exception]) -> None:
    ticket = enrolments.Ticket(enrolments.sha256("secret"), "c", "s", NOON + timedelta(minutes=30), "srv-1")
    asked = {"token": "secret", "server_id": "srv-1", "public_key": b"k", "now": NOON}
    assert enrolments.admit(ticket, **asked) is True  # type: ignore[arg-type]  # as the test's table has it
    with pytest.raises(refusal):
        enrolments.admit(ticket, **{**asked, **change})  # type: ignore[arg-type]  # as above
    with pytest.raises(enrolments.TokenUnknown):
        enrolments.admit(None, **asked)  # type: ignore[arg-type]  # as above


def test_a_used_token_answers_the_same_key_again_even_later_and_no_other() -> None:
    used = enrolments.Ticket(enrolments.sha256("t"), "c", "s", NOON, "srv-1", enrolments.sha256(b"key"))
    later = NOON + timedelta(hours=2)
    assert enrolments.admit(used, token="t", server_id="srv-1", public_key=b"key", now=later) is False
    with pytest.raises(enrolments.TokenUsed):
        enrolments.admit(used, token="t", server_id="srv-1", public_key=b"other", now=later)
