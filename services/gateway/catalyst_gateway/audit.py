"""One line for every call: who, what, on whose, with which result.

Invariants
  before the answer  what may have changed something is answered once its line is kept, or, where the database is away, once
                     the log has it;
  together           lines are kept in batches, so that a crowd of readers costs one transaction now and then;
  bounded            lines of readers that cannot be kept fast enough are counted and told in the log, never piled up.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from catalyst_mesh import Caller, Page, Work, get_logger
from catalyst_mesh.database import is_outage
from catalyst_mesh.waits import rung
from catalyst_sdk import Code, Refused
from litestar import Response

from .queries import page_size
from .store import Store

MOST = 5000
"""Lines of readers that may wait."""
BATCH = 500
PATIENCE = 2.0
"""Seconds for which an answer waits for its line."""
PAUSE = 0.5
"""Seconds for which readers' lines are gathered."""


@dataclass(frozen=True, slots=True)
class Line:
    """One call.

    subject       of whoever asked; empty for nobody that is known
    organization  on whose, as far as the path says it
    trace_id      under which daemons log what they did for it
    """

    time: datetime
    subject: str
    address: str
    verb: str
    path: str
    organization: str
    status: int
    reason: str
    trace_id: str

    @property
    def is_read(self) -> bool:
        """Whether it cannot have changed anything."""
        return self.verb in ("GET", "HEAD", "OPTIONS")


class Audit:
    """Keeps the lines of this replica; a worker of the daemon."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work
        self._waiting: list[tuple[Line, asyncio.Future[None] | None]] = []
        self._lost = 0
        self._filled = asyncio.Event()
        self._log = get_logger("audit")

    async def keep(self, line: Line) -> None:
        """Take a line; returns once the line of a write is kept, or has been told in the log instead."""
        if line.is_read:
            if len(self._waiting) < MOST:
                self._waiting.append((line, None))
            else:
                self._lost += 1
            return
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((line, kept))
        self._filled.set()
        await asyncio.wait({kept}, timeout=PATIENCE)
        if not kept.done():
            self._log.warning("audit line late", **_shown(line))

    async def run(self, stop: asyncio.Event) -> None:
        """Keep lines until `stop`, and what waits then."""
        while not stop.is_set():
            await rung(stop, self._filled, PAUSE)
            self._filled.clear()
            await self._keep_all()
        await self._keep_all()

    async def _keep_all(self) -> None:
        while self._waiting:
            some = self._waiting[:BATCH]
            try:
                async with self._work.transaction() as tx:
                    await tx.audit([asdict(line) for line, _ in some])
            except Exception as error:
                if not is_outage(error):
                    raise
                self._log.debug("database away", error=repr(error))
                return
            del self._waiting[: len(some)]
            for _, kept in some:
                if kept is not None and not kept.done():
                    kept.set_result(None)
        if self._lost:
            self._log.warning("audit lines lost", count=self._lost)
            self._lost = 0


def _shown(line: Line) -> dict[str, Any]:
    return {**asdict(line), "time": line.time.isoformat()}


class Trail:
    """Shows the lines: those of everybody to a security-officer, an Organization's own to its admins."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def page(self, person: Caller, query: Mapping[str, str]) -> Response[bytes]:
        """One page, the newest first. Raises RoleDenied, QueryUnknown, and as Page for its token."""
        if strange := sorted(set(query) - {*_FILTERS, "pageSize", "pageToken"}):
            raise QueryUnknown(names=", ".join(strange)[:100], known=", ".join(_FILTERS))
        given = {column: query[name] for name, column in _FILTERS.items() if query.get(name)}
        org = given.get("organization")
        person.require("security-officer", *(["org-admin"] if org else []), org=org, resource="audit")
        page = Page.of(page_size(query), query.get("pageToken", ""), "audit", sorted(given.items()), most=500)
        async with self._work.reading() as tx:
            cut = page.cut(await tx.audited(page.after, given, page.size + 1), lambda row: row["number"])
        answer = {"lines": [_row(row) for row in cut.rows], "nextPageToken": cut.next_page_token}
        return Response(json.dumps(answer).encode(), media_type="application/json")


_FILTERS = {
    "subject": "subject",
    "organization": "organization",
    "traceId": "trace_id",
    "reason": "reason",
    "verb": "verb",
}
"""Parameters by which lines are chosen, with their columns."""


class QueryUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "QUERY_UNKNOWN", "{names} is nothing to choose by; there are {known}"


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A line as it is answered."""
    shown = {name: row[name] for name in ("subject", "address", "verb", "path", "organization", "status", "reason")}
    moment = row["time"].isoformat().replace("+00:00", "Z")
    return {"name": f"audit/{row['number']}", "time": moment, **shown, "traceId": row["trace_id"]}
