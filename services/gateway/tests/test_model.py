"""The model of things in the store: newest wins, rebuilt beside the one that is read, snapshots and searches."""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from catalyst_gateway.rebuild import Rebuild
from catalyst_gateway.state import EnvironmentDenied, SearchTooShort, State
from catalyst_gateway.store import Store, metadata, rules
from catalyst_gateway.stream import Feed
from catalyst_gateway.tables import read_model, stream_event, thing
from catalyst_gateway.things import SCHEMA, Fact, newer, of_event
from catalyst_mesh import Caller, Database, Leases, Work, migrate
from catalyst_mesh.calls import RoleDenied
from catalyst_mesh.readers import whose
from catalyst_mesh.retention import Sweeper
from catalyst_testkit import eventually
from sqlalchemy import delete, select, update

from lib.mesh.tests.bench import going

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ZONE = "catalyst.v1.pooldomain.zone"
MEMBER = Caller("ann", groups=frozenset({"/acme/org-viewer"}))
ADMIN = Caller("root", roles=frozenset({"sovereign-admin"}))


@pytest.fixture
async def work(database: str) -> AsyncIterator[Work[Store]]:
    db = await Database.open(database)
    await migrate(db, "catalyst_gateway", metadata)
    made = Work(db, Store, metadata=metadata)
    yield made
    await db.close()


def event(number: int, zone: int, what: str = "changed", owner: str = "acme") -> dict[str, Any]:
    body = {"zone": f"zones/{zone}.example", "owner": f"organizations/{owner}", "number": number}
    return {
        "event_id": str(number), "subject": f"{ZONE}.{what}", "aggregate": f"zones/{zone}.example", "version": number,
        "time": NOON, "body": body, "organization": owner, "major": number, "minor": 1,
    }  # fmt: skip


def expected(rows: list[dict[str, Any]]) -> dict[str, Fact]:
    """What the rules of the domain make of events."""
    kept: dict[str, Fact] = {}
    for row in rows:
        fact = of_event(
            row["subject"], row["aggregate"], row["body"], rank=(row["major"], row["minor"]), time=row["time"]
        )
        kept[fact.key] = newer(kept.get(fact.key), fact)
    return kept


async def stands(work: Work[Store]) -> dict[str, Fact]:
    """What the live model says."""
    async with work.reading() as tx:
        return {fact.key: fact for fact in await tx.facts_after("", 10_000)}


async def rebuilt(work: Work[Store], *, again: bool = False) -> None:
    if again:
        async with work.transaction() as tx:
            await tx.wish_rebuild()
    rebuild = Rebuild(work=work, leases=Leases(work.db, metadata))
    async with going(rebuild):
        await eventually(lambda: _is_built(work), within=60, what="the model is built")


async def _is_built(work: Work[Store]) -> bool:
    async with work.reading() as tx:
        return await tx.building() is None and (await tx.live()).schema == SCHEMA


async def test_events_in_any_order_told_any_number_of_times_end_in_the_state_of_a_replay_from_zero(
    work: Work[Store],
) -> None:
    chance = random.Random(7)
    rows = [event(n, chance.randrange(20), chance.choice(["changed", "changed", "deleted"])) for n in range(1, 301)]
    told = rows + chance.sample(rows, 60)
    chance.shuffle(told)
    for start in range(0, len(told), 50):
        async with work.transaction() as tx:
            await tx.tell(told[start : start + 50])
    live = await stands(work)
    assert live == expected(rows)
    await rebuilt(work)
    assert await stands(work) == live


async def test_a_rebuild_that_dies_is_gone_on_with_and_misses_nothing_that_happened_meanwhile(
    work: Work[Store],
) -> None:
    rows = [event(n, n % 700) for n in range(1, 1201)]
    async with work.transaction() as tx:
        await tx.tell(rows)
        await tx.wish_rebuild()
    for number in range(1201, 1206):  # each time as if the process had ended after one bite
        rebuild = Rebuild(work=work, leases=Leases(work.db, metadata))
        await rebuild._leases.attempt("rebuild", rebuild._step)
        more = event(number, number % 5, "deleted" if number % 2 else "changed")
        rows.append(more)
        async with work.transaction() as tx:
            await tx.tell([more])
        assert await stands(work) == expected(rows)  # readers notice nothing
    await rebuilt(work)
    assert await stands(work) == expected(rows)
    async with work.reading() as tx:
        states = (await tx.sql.execute(select(read_model.c.state).order_by(read_model.c.id))).scalars().all()
    assert list(states) == ["OLD", "LIVE"]


async def test_a_model_of_older_rules_is_built_anew_and_the_old_one_swept(work: Work[Store]) -> None:
    async with work.transaction() as tx:
        await tx.tell([event(1, 1)])
        await tx.sql.execute(update(thing).values(kind="as it was called before"))
    await rebuilt(work)
    (kept,) = (await stands(work)).values()
    assert kept.kind == "pooldomain.zone"
    sweeper = Sweeper(work.db, metadata, Leases(work.db, metadata))
    for rule in rules():
        await sweeper.bite(rule)
    async with work.reading() as tx:
        assert len((await tx.sql.execute(select(thing))).all()) == 1


ONE = "sovereigns/acme"


def of_sovereign(number: int, what: str) -> dict[str, Any]:
    body = {"sovereign": ONE, "organization": "acme", "number": number}
    return {
        "event_id": str(number), "subject": f"catalyst.v1.provisioner.{what}", "aggregate": ONE, "version": number,
        "time": NOON, "body": body, "organization": "acme", "major": number, "minor": 1,
    }  # fmt: skip


TOLD = [of_sovereign(n, what) for n, what in enumerate(("sovereign.activated", "access.granted", "step.failed"), 1)]


@pytest.mark.parametrize("order", [TOLD, TOLD[::-1]], ids=["as told", "the other way round"])
@pytest.mark.either_database
async def test_no_word_of_another_kind_hides_a_thing_or_shows_itself_to_whoever_may_not_hear_it(
    work: Work[Store], order: list[dict[str, Any]]
) -> None:
    for row in order:
        async with work.transaction() as tx:
            await tx.tell([row])
    state = State(work)
    for _ in range(2):
        found = json.loads((await state.search(MEMBER, {"q": ONE})).content)["items"]
        assert [(one["kind"], one["key"], one["body"]["number"]) for one in found] == [
            ("provisioner.sovereign", ONE, 1),
            ("provisioner.step", f"{ONE}#provisioner.step", 3),
        ]
        everything = json.loads((await state.search(ADMIN, {"q": ONE})).content)["items"]
        assert [one["subject"] for one in everything if one["kind"] == "provisioner.access"] == [order[1]["subject"]]
        await rebuilt(work)


@pytest.mark.either_database
async def test_what_stands_beside_a_thing_ends_with_it_in_any_order_unless_it_was_told_later(work: Work[Store]) -> None:
    rows = [*TOLD, of_sovereign(4, "sovereign.destroyed"), of_sovereign(5, "leftover.found")]
    for order in (rows, rows[::-1], [rows[3], rows[4], *TOLD]):
        async with work.transaction() as tx:
            await tx.sql.execute(delete(thing))
            await tx.sql.execute(delete(stream_event))
        for row in order:
            async with work.transaction() as tx:
                await tx.tell([row])
        live = await stands(work)
        assert [fact.kind for fact in live.values() if not fact.is_gone] == ["provisioner.leftover"]
        await rebuilt(work, again=True)
        assert await stands(work) == live


@pytest.mark.either_database
async def test_a_thing_that_the_first_rules_called_by_its_last_word_is_called_by_its_own_again(
    work: Work[Store],
) -> None:
    async with work.transaction() as tx:
        await tx.tell(TOLD[1:])  # its own word is not kept any more
        await tx.sql.execute(delete(thing).where(thing.c.key == f"{ONE}#provisioner.step"))
        await tx.sql.execute(update(thing).values(key=ONE))
        await tx.sql.execute(update(read_model).values(schema=1))
    await rebuilt(work)
    (seen, *_) = json.loads((await State(work).search(MEMBER, {"q": ONE})).content)["items"]
    assert (seen["kind"], seen["key"], seen["body"]) == ("provisioner.sovereign", ONE, {})
    async with work.transaction() as tx:
        await tx.tell([of_sovereign(9, "sovereign.updated")])
    assert (await stands(work))[ONE].body["number"] == 9


async def test_a_tombstone_stands_for_a_day_and_keeps_late_words_out(work: Work[Store]) -> None:
    async with work.transaction() as tx:
        await tx.tell([event(2, 1, "deleted"), event(1, 1)])
    assert [fact.is_gone for fact in (await stands(work)).values()] == [True]
    sweeper, tombs = Sweeper(work.db, metadata, Leases(work.db, metadata)), rules()[2]
    assert await sweeper.bite(tombs) == 0
    async with work.transaction() as tx:
        await tx.sql.execute(update(thing).values(deleted_at=tx.now - timedelta(hours=25)))
    assert await sweeper.bite(tombs) == 1


def pod(name: str, number: int, environment: str = "acme-prod") -> tuple[str, Fact]:
    subject = f"ws.{environment}.k8s.pod.blog.{name}"
    org = environment.rpartition("-")[0]
    body = {"status": {"phase": "Running"}, "number": number}
    key = f"ws/{environment}/{name}"
    fact = Fact(key, "k8s.pod", f"blog.{name}", environment, org, subject, (1, number), 1, NOON, body)
    return f"{name}-{number}", fact


async def test_a_snapshot_shows_what_stands_to_members_and_says_where_to_go_on(work: Work[Store]) -> None:
    async with work.transaction() as tx:
        await tx.tell_runtime([pod("a", 1), pod("b", 1), pod("a", 2), pod("a", 1), pod("x", 1, "rival-prod")])
        life, last = await tx.incarnation(), await tx.last()
    state = State(work)
    whole = json.loads((await state.environment(MEMBER, "acme-prod", {})).content)
    assert [(i["name"], i["body"]["number"]) for i in whole["items"]] == [("blog.a", 2), ("blog.b", 1)]
    assert whole["cursor"] == f"{life}:{last}" == f"{life}:4"  # a word that was no news is not told either
    page = json.loads((await state.environment(MEMBER, "acme-prod", {"pageSize": "1", "kinds": "k8s.pod"})).content)
    rest = {"pageToken": page["nextPageToken"], "pageSize": "1", "kinds": "k8s.pod"}
    assert [i["name"] for i in json.loads((await state.environment(MEMBER, "acme-prod", rest)).content)["items"]] == [
        "blog.b"
    ]
    for who, name in ((MEMBER, "rival-prod"), (MEMBER, "rival-never"), (ADMIN, "acme-prod"), (MEMBER, "acme")):
        with pytest.raises(EnvironmentDenied):
            await state.environment(who, name, {})


async def test_a_search_finds_what_the_caller_may_read_and_nothing_else(work: Work[Store]) -> None:
    async with work.transaction() as tx:
        await tx.tell([event(1, 10), event(2, 11, owner="rival"), event(3, 12), event(4, 13, "deleted")])
    state = State(work)
    found = json.loads((await state.search(MEMBER, {"q": ".EXAMPLE", "pageSize": "1"})).content)
    assert [i["key"] for i in found["items"]] == ["zones/10.example"]
    rest = json.loads((await state.search(MEMBER, {"q": ".EXAMPLE", "pageToken": found["nextPageToken"]})).content)
    assert [i["key"] for i in rest["items"]] == ["zones/12.example"]
    assert json.loads((await state.search(MEMBER, {"q": "%_"})).content)["items"] == []
    assert len(json.loads((await state.search(ADMIN, {"q": "zones"})).content)["items"]) == 3
    with pytest.raises(SearchTooShort):
        await state.search(MEMBER, {"q": " a "})


BLUEPRINTS = {
    "blueprints/bp-quiet": {"visibility": "VISIBILITY_UNLISTED"},
    "organizations/acme/blueprints/bp-quiet-crm": {
        "visibility": "VISIBILITY_PRIVATE",
        "ownerOrg": "organizations/acme",
    },
    "blueprints/bp-quiet-shop": {"visibility": "VISIBILITY_LISTED"},
}  # fmt: skip - reads as a table


async def test_of_blueprints_each_finds_and_hears_what_the_catalogue_would_list_and_no_other_name(
    work: Work[Store],
) -> None:
    quiet, own, listed = BLUEPRINTS
    for number, (name, body) in enumerate(BLUEPRINTS.items(), start=1):
        for subject in ("blueprint.updated", "version.published", "version.yanked"):
            full = f"catalyst.v1.catalog.{subject}"
            thing = f"{name}/versions/1.0.0" if subject.startswith("version") else name
            told = event(number, number) | {
                "event_id": thing + subject,
                "subject": full,
                "aggregate": thing,
                "body": body,
            }
            async with work.transaction() as tx:
                await tx.tell([told | {"organization": whose(full, thing, body)}])
    people = {
        Caller("ann", groups=frozenset({"/acme/org-viewer"})): {own, listed},
        Caller("eve", groups=frozenset({"/rival/org-admin"}), roles=frozenset({"billing-admin"})): {listed},
        Caller("nobody"): {listed},
        ADMIN: {quiet, listed},
    }
    for person, names in people.items():
        found = json.loads((await State(work).search(person, {"q": "bp-quiet"})).content)["items"]
        assert {item["key"].partition("/versions/")[0] for item in found} == names, person.subject

        async def same(person: Caller = person) -> Caller:
            return person

        heard = []
        async with aclosing(cast(AsyncGenerator[bytes], Feed(work, heartbeat=0.01).events("0", "", same))) as frames:
            async for frame in frames:
                if frame.startswith(b":"):
                    break
                heard.append(json.loads(frame.decode().partition("data: ")[2])["aggregate"])
        assert {name.partition("/versions/")[0] for name in heard} == names, person.subject
        assert len(heard) == 3 * len(names)


async def test_only_who_runs_the_sovereign_has_a_model_rebuilt_and_one_at_a_time(work: Work[Store]) -> None:
    state = State(work)
    with pytest.raises(RoleDenied):
        await state.rebuild(MEMBER)
    first, second = await asyncio.gather(state.rebuild(ADMIN), state.rebuild(ADMIN))
    assert first.status_code == 202
    assert json.loads(second.content)["schema"] == SCHEMA
