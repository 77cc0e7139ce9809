"""What the world sees of the demo application.

POST /rows {"n": 7}   201 {"n", "epoch", "region"}: kept for good; the same number again is the same write
                      503 with Retry-After: not taken, as this region may not write
                      504: nobody knows; ask again with the same number
GET  /rows            every row that is kept, {"rows": [{"n", "epoch", "region", "position"}], "next"}; ?after=<position>, ?limit=
GET  /rows/7          one of them, or 404
…    /canaries        the same for an observer's own writes, which are no rows
GET  /whoami          {"region", "role", "epoch", "writable", "why"}
GET  /healthz         200 while the process answers
GET, PUT /admission   whether writes are let through, and how many are inside; with the token
"""

from dataclasses import asdict
from typing import Any

from .admission import Admission, Order
from .behind import CANARY, ROW, Behind, Closed, Entry, Unsure
from .standing import StaleEpoch
from .web import Answer, App, BadRequest, Request, Routes, number, text

RETRY_AFTER = {"retry-after": "1"}
MOST = 100_000
"""Rows in one answer."""


class Gateway:
    """One handler a call."""

    def __init__(self, behind: Behind, admission: Admission) -> None:
        self._behind = behind
        self._admission = admission

    def application(self, secret: str) -> App:
        """What the gateway answers."""
        routes: Routes = {
            ("POST", "rows"): lambda request: self._write(ROW, request),
            ("GET", "rows"): lambda request: self._read(ROW, request),
            ("POST", "canaries"): lambda request: self._write(CANARY, request),
            ("GET", "canaries"): lambda request: self._read(CANARY, request),
            ("GET", "whoami"): self._whoami,
            ("GET", "healthz"): self._healthz,
            ("GET", "admission"): self._admitted,
            ("PUT", "admission"): self._admit,
        }
        return App(routes, secret=secret, guarded=frozenset({"admission"}))

    async def _write(self, kind: str, request: Request) -> Answer:
        n = number(request.body, "n")
        if not self._admission.order.open:
            return Answer(503, {"why": "writes are led elsewhere"}, RETRY_AFTER)
        with self._admission.inside():
            try:
                return Answer(201, _plain(await self._behind.write(kind, n)))
            except Closed as closed:
                return Answer(503, {"why": str(closed)}, RETRY_AFTER)
            except Unsure as unsure:
                return Answer(504, {"why": str(unsure)})

    async def _read(self, kind: str, request: Request) -> Answer:
        try:
            if request.rest:
                found = await self._behind.find(kind, number({"n": request.rest}, "n"))
                return (
                    Answer(200, _plain(found)) if found else Answer(404, {"why": f"there is no {kind} {request.rest}"})
                )
            after, most = number(request.query, "after", 0), min(number(request.query, "limit", MOST), MOST)
            entries = await self._behind.read(kind, after, most)
        except Unsure as unsure:
            return Answer(503, {"why": str(unsure)}, RETRY_AFTER)
        rows = [_plain(entry) for entry in entries]
        return Answer(
            200, {f"{kind}s" if kind == ROW else "canaries": rows, "next": rows[-1]["position"] if rows else after}
        )

    async def _whoami(self, _: Request) -> Answer:
        told = asdict(await self._behind.whoami())
        if not self._admission.order.open:
            told |= {"writable": False, "why": told["why"] or "writes are led elsewhere"}
        return Answer(200, told)

    async def _healthz(self, _: Request) -> Answer:
        return Answer(200, {"ok": True})

    async def _admitted(self, _: Request) -> Answer:
        order = self._admission.order
        return Answer(200, {"epoch": order.epoch, "open": order.open, "in_flight": self._admission.in_flight})

    async def _admit(self, request: Request) -> Answer:
        wished = request.body.get("open")
        if not isinstance(wished, bool):
            raise BadRequest("open must be true or false")
        try:
            self._admission.set(Order(number(request.body, "epoch"), wished, text(request.body, "run", "")))
        except StaleEpoch as stale:
            return Answer(409, {"why": str(stale), "epoch": stale.epoch})
        return await self._admitted(request)


def _plain(entry: Entry) -> dict[str, Any]:
    return {"n": entry.n, "epoch": entry.epoch, "region": entry.region, "position": entry.position}
