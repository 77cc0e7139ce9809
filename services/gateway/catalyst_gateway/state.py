"""What stands now: snapshots of an Environment, and a search over everything that the caller may read.

A snapshot and its cursor are read in one view: whoever goes on with `/v1/stream?cursor=` misses nothing and hears nothing twice
that is newer than the snapshot.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from catalyst_mesh import Caller, Page, Work
from catalyst_mesh.readers import Reader, organization_of
from catalyst_sdk import Code, Refused, Violation
from litestar import Response

from .queries import page_size
from .shelves import Model, matching, readable
from .store import Store
from .tables import thing

MOST = 2000
"""Things of one page of a snapshot."""
MOST_FOUND = 100


class EnvironmentDenied(Refused):
    code, reason, message = (
        Code.PERMISSION_DENIED,
        "ENVIRONMENT_DENIED",
        "the caller may not read environments/{environment}",
    )


class SearchTooShort(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SEARCH_TOO_SHORT", "search for at least two characters"


class State:
    """Answers from the read model."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def environment(self, person: Caller, environment: str, query: Mapping[str, str]) -> Response[bytes]:
        """Things of an Environment. Raises EnvironmentDenied, whether there is one or not, and as Page."""
        reader = Reader.of(person)
        if not reader.may_hear(f"ws.{environment}.", organization_of(environment)):
            raise EnvironmentDenied(environment=environment[:80])
        kinds = tuple(filter(None, query.get("kinds", "").split(",")))
        page = Page.of(page_size(query), query.get("pageToken", ""), "state", environment, kinds, most=MOST)
        where = [thing.c.environment == environment, *([thing.c.kind.in_(kinds)] if kinds else [])]
        async with self._work.reading() as tx:
            cursor = f"{await tx.incarnation()}:{await tx.last()}"
            rows = await tx.things(*where, after=page.after or "", limit=page.size + 1)
            now = tx.now
        cut = page.cut(rows, lambda row: row["key"])
        items = [shown(row, now) for row in cut.rows if reader.may_hear(row["subject"], row["organization"])]
        return _json({"items": items, "cursor": cursor, "nextPageToken": cut.next_page_token})

    async def search(self, person: Caller, query: Mapping[str, str]) -> Response[bytes]:
        """Things with a text in their name or body, as far as the caller may read them. Raises SearchTooShort and as Page."""
        text = query.get("q", "").strip()[:200]
        if len(text) < 2:
            raise SearchTooShort(violations=(Violation("q", "search for at least two characters", "min_len"),))
        reader = Reader.of(person)
        page = Page.of(page_size(query), query.get("pageToken", ""), "search", text, person.subject, most=MOST_FOUND)
        async with self._work.reading() as tx:
            rows = await tx.things(readable(reader), matching(text), after=page.after or "", limit=page.size + 1)
            now = tx.now
        cut = page.cut(rows, lambda row: row["key"])
        return _json({"items": [shown(row, now) for row in cut.rows], "nextPageToken": cut.next_page_token})

    async def rebuild(self, person: Caller) -> Response[bytes]:
        """Have the model built anew beside the one that is read. Raises RoleDenied."""
        person.require("sovereign-admin", resource="projector")
        model = await self._work.again(_wish)
        return _json({"model": model.id, "schema": model.schema}, status=202)


async def _wish(tx: Store) -> Model:
    return await tx.wish_rebuild()


def shown(row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """A thing as it is answered; `ageSeconds` says how old the last word about it is."""
    names = ("key", "kind", "name", "environment", "organization", "subject", "version")
    moment = row["time"].isoformat().replace("+00:00", "Z")
    age = max(0, int((now - row["time"]).total_seconds()))
    return {**{name: row[name] for name in names}, "time": moment, "ageSeconds": age, "body": row["body"]}


def _json(answer: Mapping[str, Any], status: int = 200) -> Response[bytes]:
    return Response(json.dumps(answer).encode(), media_type="application/json", status_code=status)
