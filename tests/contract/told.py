"""The read model by every way into it: what each tells to whom, and what the roles of `READERS` give, worked out here anew.

Something of every kind is told of two Organizations, of nobody, and of who knows whom; then everybody asks by the stream, by
GraphQL, by search and on the page of what happened.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from catalyst_mesh import PUBLIC, SIGNED_IN
from catalyst_mesh.readers import READERS, whose
from catalyst_mesh.roles import ORGANIZATION_ROLES, WHOLE_SOVEREIGN

from .askers import ANONYMOUS, NOBODY, Asker, person
from .edges import Edge
from .mesh import Mesh

HERE = "acme"
WORD = "whispered"
"""Stands in the name of each thing, so that one search is for all."""
OPEN = frozenset({PUBLIC, SIGNED_IN})
LAST = "catalog.blueprint"
"""A kind that everybody hears of; its word about nobody's is told last, and ends the listening."""


@dataclass(frozen=True, slots=True)
class Told:
    """One thing of which was told."""

    kind: str
    organization: str
    """Slug; empty: nobody's; `?`: not known."""
    name: str

    @property
    def row(self) -> dict[str, Any]:
        """As the read model keeps it."""
        subject, body = f"catalyst.v1.{self.kind}.changed", {"organization": self.organization, "message": self.name}
        organization = whose(subject, self.name, body)
        return {
            "event_id": self.name, "subject": subject, "aggregate": self.name, "version": 1, "time": datetime.now(UTC),
            "body": body, "organization": organization, "major": 1, "minor": 1,
        }  # fmt: skip


def everything() -> Iterator[Told]:
    """One of each kind for each owner; the one that everybody hears of comes last."""
    for kind in sorted(READERS, key=lambda kind: (kind == LAST, kind)):
        is_open = READERS[kind].is_shared or READERS[kind].roles & OPEN
        for organization in (HERE, "rival", "" if is_open else "?"):
            yield Told(
                kind, organization, f"things/{WORD}-{kind.replace('.', '-')}-{organization.strip('?') or 'none'}"
            )


def is_for(told: Told, asker: Asker) -> bool:
    """What the row of a kind says, in words of its own."""
    row = READERS[told.kind]
    if row.roles & asker.roles & WHOLE_SOVEREIGN:
        return True
    if told.organization == "":
        return bool(row.roles & OPEN or (row.is_shared and row.roles & (asker.own | asker.elsewhere)))
    held = asker.own if told.organization == HERE else frozenset[str]()
    return bool(row.roles & held or (row.roles & OPEN and held))


def people() -> Iterator[Asker]:
    """Whoever may look: nobody at all, and people in each role."""
    yield from (ANONYMOUS, NOBODY)
    for role in sorted(ORGANIZATION_ROLES):
        yield from (person(role), person(elsewhere=(role,)))
    yield from (person(roles=(role,)) for role in sorted(WHOLE_SOVEREIGN))


async def tell(edge: Edge) -> list[Told]:
    """Write all of it into the read model; what stands there already stays."""
    things = list(everything())
    async with edge.work.transaction() as tx:
        await tx.take_turn()
        await tx.tell([one.row for one in things])
    return things


@asynccontextmanager
async def browsing(edge: Edge, around: Mesh, asker: Asker) -> AsyncIterator[httpx.AsyncClient]:
    """A client as somebody."""
    issuer = around.daemons["catalog"].issuer
    headers = dict(asker.metadata(issuer, HERE))
    async with httpx.AsyncClient(base_url=edge.url, headers=headers, timeout=60) as http:
        yield http


async def by_stream(http: httpx.AsyncClient) -> list[str]:
    """Things of which the stream told, up to the last."""
    names = []
    async with http.stream("GET", "/v1/stream", headers={"last-event-id": "0"}) as answer:
        if answer.status_code != 200:
            return [str(answer.status_code)]
        async for line in answer.aiter_lines():
            if line.startswith("data: ") and (name := json.loads(line[6:]).get("aggregate", "")):
                names.append(name)
                if name == f"things/{WORD}-{LAST.replace('.', '-')}-none":
                    return names
    return [*names, "the stream ended"]


async def by_search(http: httpx.AsyncClient) -> list[str]:
    """Things that REST finds."""
    names, token = [], ""
    while True:
        answer = await http.get("/v1/search", params={"q": WORD, "pageSize": "100", "pageToken": token})
        if answer.status_code != 200:
            return [str(answer.status_code)]
        names += [one["key"] for one in answer.json()["items"]]
        if not (token := answer.json()["nextPageToken"]):
            return names


async def by_graph(http: httpx.AsyncClient, field: str, *arguments: str) -> list[str]:
    """Things of a connection of GraphQL, by pages."""
    names, after = [], ""
    while True:
        asked = ", ".join([*arguments, "first: 100", f'after: "{after}"'])
        query = f"{{ {field}({asked}) {{ nodes {{ key }} pageInfo {{ endCursor hasNextPage }} }} }}"
        answer = await http.post("/graphql", json={"query": query})
        if answer.status_code != 200:
            return [str(answer.status_code)]
        page = answer.json()["data"][field]
        names += [one["key"] for one in page["nodes"]]
        if not page["pageInfo"]["hasNextPage"]:
            return names
        after = page["pageInfo"]["endCursor"]


async def by_timeline(http: httpx.AsyncClient) -> list[str]:
    """Things on the page of what happened, and on the older ones."""
    names, at = [], "/console/timeline"
    while True:
        page = await http.get(at)
        if page.status_code != 200:
            return [str(page.status_code)]
        names += re.findall(rf"things/{WORD}[a-z_-]+", page.text)
        older = re.search(r'href="([^"]*before=\d+[^"]*)"', page.text)
        if older is None:
            return names
        at = "/console/timeline" + older[1].replace("&amp;", "&")


async def by_all(http: httpx.AsyncClient) -> Mapping[str, list[str]]:
    """What each way tells."""
    ways = {
        "stream": by_stream(http),
        "search": by_search(http),
        "events of GraphQL": by_graph(http, "events"),
        "search of GraphQL": by_graph(http, "search", f'q: "{WORD}"'),
        "page of what happened": by_timeline(http),
    }
    async with asyncio.timeout(120):
        return dict(zip(ways, await asyncio.gather(*ways.values()), strict=True))
