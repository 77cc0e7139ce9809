"""Every method of the daemons, asked by everybody: who does not stand in its row is denied, and nobody gets a stranger's.

Generated from the tables that `docs/reference/access.md` shows; what is expected is worked out here from the names in a
row, not by the code under test.
"""

import asyncio
import importlib
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

import grpc
import httpx
import pytest
import pytest_asyncio
from catalyst_gateway.console.index import PAGES
from catalyst_mesh import PUBLIC, SIGNED_IN, Issuer, Row, Scope, explain, rows
from catalyst_mesh.errors import Explained
from catalyst_mesh.identity import AGENT_ISSUER
from catalyst_mesh.roles import AGENT, ORGANIZATION_ROLES, OWN, SERVICE, WHOLE_SOVEREIGN

from . import told, ways
from .access_table import DAEMONS, tables
from .askers import ANONYMOUS, DENIED, NOBODY, Asker, daemon, everybody, person
from .contracts import rpcs
from .edges import Edge
from .mesh import Mesh, descriptor
from .owned import OWNED, Owned
from .unserved import not_served

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.parametrize("around", ["sqlite"], indirect=True),
]
EVENTS = importlib.import_module("catalyst.mesh.v1.service_pb2").DESCRIPTOR.services_by_name["EventService"]
EVERY_DAEMON: Mapping[str, Row] = {
    **rows("catalyst.mesh.v1.PluginService", ListPlugins=SIGNED_IN),
    **rows(EVENTS.full_name, **{method.name: "sovereign-admin" for method in EVENTS.methods}),
    **rows(EVENTS.full_name, ListEvents="own:gateway sovereign-admin"),
}
"""Rows that the chassis adds to each table."""
TABLE_DENIES = {"UNAUTHENTICATED": {"TOKEN_REJECTED"}, "PERMISSION_DENIED": {"CALL_DENIED", "ACTING_DENIED"}}
CONTENT_IS_THE_OWNERS = "catalyst.catalog.v1.CatalogService/"
"""Of a private Blueprint the Sovereign's own people see no content (catalog.md, section 4)."""
AT_ONCE = 24
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended."""

    why: Explained
    body: bytes = b""

    @property
    def code(self) -> str:
        return self.why.code


class Doors:
    """Channels to the daemons, by which requests go as bytes."""

    def __init__(self, around: Mesh) -> None:
        self._issuer = around.daemons["catalog"].issuer
        self._channels = {name: grpc.aio.insecure_channel(one.target) for name, one in around.daemons.items()}
        self._few = asyncio.Semaphore(AT_ONCE)
        agents = Issuer.open(around.home / "provisioner" / "agents", AGENT_ISSUER)
        forger = Issuer.open(around.home / "forger")
        rubbish = [
            "rubbish",
            self._issuer.token("late", roles=["sovereign-admin"], ttl=-60),
            forger.token("forger", roles=["sovereign-admin"]),
            f"{self._issuer.token('x').rpartition('.')[0]}.AAAA",
        ]  # fmt: skip - four sorts of rubbish
        self.askers = tuple(everybody(rubbish, agents.token("ab" * 32, roles=[AGENT])))
        self.asked = 0
        self._shown: dict[tuple[Asker, str], Metadata] = {}

    async def ask(self, name: str, method: str, asker: Asker, request: bytes = b"", org: str = "acme") -> Answer:
        """One call; of a stream, its first message."""
        metadata = self.shown(asker, org)
        asked = self._first if is_streaming(method) else self._only
        async with self._few:
            self.asked += 1
            try:
                return Answer(Explained("OK", "", ""), await asked(name, method, request, metadata))
            except grpc.aio.AioRpcError as error:
                return Answer(explain(error))

    async def _only(self, name: str, method: str, request: bytes, metadata: Metadata) -> bytes:
        answer: bytes = await self._channels[name].unary_unary(f"/{method}")(request, metadata=metadata, timeout=60)
        return answer

    async def _first(self, name: str, method: str, request: bytes, metadata: Metadata) -> bytes:
        call = self._channels[name].unary_stream(f"/{method}")(request, metadata=metadata, timeout=60)
        body = await call.read()
        call.cancel()
        return b"" if body is grpc.aio.EOF else body

    def shown(self, asker: Asker, org: str) -> Metadata:
        """The headers by which somebody is known."""
        if (asker, org) not in self._shown:
            self._shown[asker, org] = asker.metadata(self._issuer, org)
        return self._shown[asker, org]

    async def close(self) -> None:
        for channel in self._channels.values():
            await channel.close(None)


@pytest_asyncio.fixture(loop_scope="session")
async def doors(around: Mesh) -> AsyncIterator[Doors]:
    made = Doors(around)
    yield made
    await made.close()


def every_row() -> Iterator[tuple[str, str, Row]]:
    """Daemon, method and row."""
    for name, table in tables():
        yield from ((name, method, row) for method, row in {**EVERY_DAEMON, **table}.items())


def is_served(name: str, method: str) -> bool:
    service, _, short = method.partition("/")
    return not {short, "all"} & not_served(name, DAEMONS[name]).get(service, set())


@cache
def is_streaming(method: str) -> bool:
    """Whether the contracts have it as a stream; what they do not have is asked as if it answered once, which is cheaper."""
    try:
        return bool(descriptor(method).server_streaming)
    except KeyError:
        return False


async def test_who_stands_in_a_row_is_let_in_and_nobody_else_is(doors: Doors) -> None:
    """With an empty request: the table is asked before the fields are looked at."""

    async def one(name: str, method: str, row: Row, asker: Asker) -> str:
        expected = asker.verdict(row.roles, knows_agents=name == "provisioner")
        why = (await doors.ask(name, method, asker)).why
        if expected:
            right = why.code == expected and why.reason in TABLE_DENIES[expected]
        else:
            right = why.reason not in set().union(*TABLE_DENIES.values()) and why.code != "UNAUTHENTICATED"
        return "" if right else f"{name}: {method} by {asker.name}: {why.code} {why.reason}, not {expected or 'let in'}"

    every = [(*row, asker) for row in every_row() for asker in doors.askers]
    wrong = await asyncio.gather(*(one(*question) for question in every))
    assert sorted(filter(None, wrong)) == []
    assert doors.asked == len(every) == len(list(every_row())) * len(doors.askers) > 5000


async def test_what_no_row_names_is_nobodys(doors: Doors) -> None:
    known = {(name, method) for name, method, _ in every_row()}
    contracts = {
        (name, f"{r.service}/{r.method.name}") for r in rpcs() for name in (r.service.split(".")[1], "catalog")
    }
    contracts = {(name if name in DAEMONS else "billing", method) for name, method in contracts}
    invented = {(name, f"catalyst.{name}.v1.{path}") for name in DAEMONS for path in ("Nothing/Get", "Nothing/")}
    unknown = sorted((contracts | invented) - known)
    askers = (ANONYMOUS, person(roles=tuple(WHOLE_SOVEREIGN)))

    async def one(name: str, method: str, asker: Asker) -> str:
        why = (await doors.ask(name, method, asker)).why
        return "" if why.code in (*DENIED, "UNIMPLEMENTED") else f"{name}: {method} by {asker.name}: {why.code}"

    wrong = await asyncio.gather(*(one(*place, asker) for place in unknown for asker in askers))
    assert list(filter(None, wrong)) == []
    assert doors.asked == len(unknown) * len(askers) > 100


@cache
def owned_rows() -> dict[str, tuple[str, str, Row]]:
    """Served methods in which an Organization can own what is asked for, by their keys in `OWNED`: daemon, method, row."""
    return {
        (method if method.startswith("catalyst.") else f"{name}: {method}"): (name, method, row)
        for name, method, row in every_row()
        if row.scope not in (Scope.ANY, Scope.SELF) and row.roles & (ORGANIZATION_ROLES | {PUBLIC})
        if is_served(name, method) and not method.endswith("/Enroll")
    }


async def test_every_method_with_an_owner_has_something_owned(around: Mesh) -> None:
    """Enroll is the one that nobody in an Organization calls: whoever holds the ticket."""
    assert set(owned_rows()) == set(OWNED)


def insiders(method: str, row: Row) -> Iterator[Asker]:
    """Who is to be told."""
    members = sorted(ORGANIZATION_ROLES if PUBLIC in row.roles else row.roles & ORGANIZATION_ROLES)
    yield from (person(role) for role in members)
    if not method.startswith(CONTENT_IS_THE_OWNERS):
        yield from (person(roles=(role,)) for role in sorted(row.roles & WHOLE_SOVEREIGN))
    if not method.endswith("/SearchCards"):  # it shows to each what its memberships give, and daemons have none
        yield from map(daemon, sorted(services(row, SERVICE) | services(row, OWN)))
    yield from (daemon(name, person(members[0])) for name in sorted(services(row, SERVICE)))
    yield from (daemon(name, person(elsewhere=("org-admin",))) for name in sorted(services(row, OWN)))


def outsiders(method: str, row: Row) -> Iterator[Asker]:
    """Who stands in the row, or has a part that does, and is a stranger all the same."""
    members = sorted(ORGANIZATION_ROLES if PUBLIC in row.roles else row.roles & ORGANIZATION_ROLES)
    yield from (person(elsewhere=(role,)) for role in members)
    yield from (daemon(name, person(elsewhere=(members[0],))) for name in sorted(services(row, SERVICE)))
    if PUBLIC in row.roles:
        yield ANONYMOUS
    if row.roles & {PUBLIC, SIGNED_IN}:
        yield NOBODY
    if method.startswith(CONTENT_IS_THE_OWNERS):
        yield from (person(roles=(role,)) for role in sorted(row.roles & WHOLE_SOVEREIGN))


def lesser(row: Row) -> Iterator[Asker]:
    """Members whose role is not in the row, but who hold one of the row elsewhere: it is none here."""
    if PUBLIC not in row.roles:
        for role in sorted(ORGANIZATION_ROLES - row.roles):
            yield person(role, elsewhere=tuple(sorted(row.roles & ORGANIZATION_ROLES)))


def services(row: Row, kind: str) -> set[str]:
    return {role.removeprefix(kind) for role in row.roles if role.startswith(kind)}


@pytest.mark.parametrize("key", OWNED)
async def test_what_an_organization_owns_is_told_to_it_and_to_no_stranger(
    around: Mesh, doors: Doors, edge: Edge, key: str
) -> None:
    name, method, row = owned_rows()[key]
    owned = await OWNED[key](around)
    wrong = await told_by_another_way(doors, edge, key, owned) if is_reading(method) else []
    wrong += [await told_to_a_stranger(doors, key, owned, one) for one in outsiders(method, row)]
    wrong += [await done_by_a_lesser(doors, key, owned, one) for one in lesser(row)]
    for insider in insiders(method, row):
        answer = await doors.ask(name, method, insider, owned.request.SerializeToString(), owned.org)
        if not is_told(row, owned, answer):
            wrong.append(f"{insider.name}: {answer.why}")
        if answer.code == "OK" and not is_reading(method):  # the next one needs one of its own
            owned = await OWNED[key](around)
    assert list(filter(None, wrong)) == []


async def told_by_another_way(doors: Doors, edge: Edge, key: str, owned: Owned) -> list[str]:
    """What REST and the pages of the console tell to strangers; to one of them by turns, in a long run to each."""
    _, method, row = owned_rows()[key]
    people = [one for one in outsiders(method, row) if not one.service and not one.serves]
    turn = crc32(key.encode()) % len(people) if people else 0
    wrong = []
    async with httpx.AsyncClient(base_url=edge.url, timeout=60) as http:
        for one in people if ways.LONG else people[turn : turn + 1]:
            headers = dict(doors.shown(one, owned.org))
            whole = row.scope in (Scope.ABSENT, Scope.DENIED)
            wrong += [
                f"{one.name}: {why}" for why in await ways.told_too_much(http, method, owned, headers, whole=whole)
            ]
    return wrong


def is_reading(method: str) -> bool:
    return method.rpartition("/")[2].startswith(("Get", "List", "Watch", "Wait", "Search"))


def is_told(row: Row, owned: Owned, answer: Answer) -> bool:
    if row.scope is Scope.LEFT_OUT:
        return answer.code == "OK" and owned.mark.encode() in answer.body
    return answer.code not in {*DENIED, "INVALID_ARGUMENT", "INTERNAL"} and not (
        answer.code == "NOT_FOUND" and not owned.is_gone
    )


async def told_to_a_stranger(doors: Doors, key: str, owned: Owned, asker: Asker) -> str:
    """What is wrong with what a stranger hears."""
    name, method, row = owned_rows()[key]
    request = (owned.foreign or owned.request).SerializeToString()
    answer = await doors.ask(name, method, asker, request, owned.org)
    none = await doors.ask(name, method, asker, owned.of_none(), owned.org)
    match row.scope:
        case Scope.LEFT_OUT:
            right = answer.code == "OK" and owned.mark.encode() not in answer.body
        case Scope.ABSENT:
            right = answer.code == "NOT_FOUND" and alike(owned, answer, none)
        case Scope.DENIED:
            right = answer.code == "PERMISSION_DENIED" and alike(owned, answer, none)
        case _:
            right = answer.code != "OK" and none.code != "OK"
    return "" if right else f"{asker.name}: {answer.why}; of what never was: {none.why}"


def alike(owned: Owned, answer: Answer, none: Answer) -> bool:
    """Whether the two refusals differ in the name that was asked for and in nothing else."""
    told = repr(answer.why).replace(owned.mark, owned.never)
    return told == repr(none.why).replace(owned.mark, owned.never)


async def done_by_a_lesser(doors: Doors, key: str, owned: Owned, asker: Asker) -> str:
    name, method, row = owned_rows()[key]
    request = (owned.foreign or owned.request).SerializeToString()
    answer = await doors.ask(name, method, asker, request, owned.org)
    if row.scope is Scope.LEFT_OUT:
        right = answer.code == "OK" and owned.mark.encode() not in answer.body
    else:
        right = answer.code != "OK" if row.scope is Scope.HOLDER else answer.code in ("PERMISSION_DENIED", "NOT_FOUND")
    return "" if right else f"{asker.name}: {answer.why}"


async def test_every_way_into_the_read_model_tells_everybody_what_is_theirs_and_nothing_else(
    edge: Edge, around: Mesh
) -> None:
    things = await told.tell(edge)
    wrong: dict[str, Any] = {}
    for asker in told.people():
        expected = {one.name for one in things if told.is_for(one, asker)}
        async with told.browsing(edge, around, asker) as http:
            found = await told.by_all(http)
        for way, names in found.items():
            if asker is ANONYMOUS:
                right = names in (["401"], ["303"])
            else:
                right = {name for name in names if told.WORD in name or "/" not in name} == expected
            if not right:
                wrong[f"{way} by {asker.name}"] = {
                    "too much": set(names) - expected,
                    "too little": expected - set(names),
                }
    assert wrong == {}


async def test_no_place_or_side_that_the_console_shows_somebody_is_refused(edge: Edge, around: Mesh) -> None:
    """What somebody may not see is no link of his; who knows its address is still refused, by the daemons."""
    members = (person(elsewhere=(role,)) for role in sorted(ORGANIZATION_ROLES))
    askers = [NOBODY, *members, *(person(roles=(role,)) for role in sorted(WHOLE_SOVEREIGN))]
    refused = {}
    for asker in askers:
        async with told.browsing(edge, around, asker) as http:
            todo, seen = ["/console/organizations"], set[str]()
            while todo:
                path = todo.pop()
                seen.add(path)
                page = await http.get(path, follow_redirects=True)
                if page.status_code in (401, 403, 404):
                    refused[f"{path} by {asker.name}"] = page.status_code
                shown = re.findall(r'<nav class="(?:places|tabs)".*?</nav>', page.text, re.DOTALL)
                links = {link for part in shown for link in re.findall(r'href="(/console/[^"?]+)"', part)}
                todo += sorted(links - seen - set(todo))
    assert refused == {}


async def test_no_list_of_the_console_shows_a_stranger_what_was_told(edge: Edge, around: Mesh) -> None:
    things = await told.tell(edge)
    pages = [one.path for one in PAGES if one.verb == "GET" and "{" not in one.path and not one.is_open]
    strangers = (NOBODY, *(person(elsewhere=(role,)) for role in sorted(ORGANIZATION_ROLES)))
    wrong = {}
    for n, asker in enumerate(strangers):
        theirs = {one.name for one in things if told.is_for(one, asker)}
        async with told.browsing(edge, around, asker) as http:
            for path in pages if ways.LONG else pages[n :: len(strangers)]:  # each by one of them, in a long run by all
                page = await http.get(path)
                more = set(re.findall(rf"things/{told.WORD}[a-z_-]+", page.text)) - theirs
                if more or page.status_code not in (200, 303, 403, 404):
                    wrong[f"{path} by {asker.name}"] = (page.status_code, more, page.text[:300])
    assert wrong == {}
