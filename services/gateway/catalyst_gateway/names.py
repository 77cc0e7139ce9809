"""Names over REST as people and provisioners write them: `/v1/reserve`, `/v1/commit` and their like.

Each is one call of the pool-domain manager. 2xx means stored; only `state` and `conditions` say done.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import grpc
from catalyst.pooldomain.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh.errors import Explained, InvalidRequest, explain
from catalyst_sdk import Violation
from google.protobuf import json_format
from litestar import Request, Response
from litestar.response import Stream

from . import bodies, conditions, lookups
from .bodies import Field
from .findings import Findings
from .stream import HEADERS, frame, refused
from .transcode import BodyUnreadable, to_json

Req = Request[Any, Any, Any]
Metadata = tuple[tuple[str, str], ...]
MOST_BODY = 16 * 1024
CHECK, VALIDATE, REST = 5.0, 15.0, 30.0
"""Seconds that a request may take."""
MOST_WAIT = 25.0
"""Seconds of `?wait=`: the rest of the time is for the call before it."""
_POOL = r"[a-z0-9-]+(?:[.][a-z0-9-]+)+"
_VARIABLES = {
    "{pool}": f"(?P<pool>{_POOL})",
    "{allocation}": "(?P<label>[a-z0-9-]{1,63})",
    "{registrar}": "(?P<registrar>[a-z][a-z0-9-]{0,62})",
    "{account}": "(?P<account>[a-z][a-z0-9-]{2,62})",
}  # fmt: skip - a table
_FQDN = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?([.][a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+")
_WAIT = re.compile(r"([0-9]{1,4})s?")

NAME = (Field("poolDomain", is_needed=True), Field("subdomain", is_needed=True))
TOKEN = Field("reservationToken", is_needed=True)
RESERVE = (*NAME, Field("owner"), Field("createdBy"), Field("holder"), Field("ttlSeconds", int), Field("warm", bool))
RENEW = (*NAME, TOKEN, Field("ttlSeconds", int))
COMMIT = (
    *NAME,
    TOKEN,
    Field("sovereignFqdn", is_needed=True, aliases=("sovereignFQDN",)),
    Field("targets", list),
    Field("loadBalancerIp", aliases=("loadBalancerIP",)),
    Field("consoleLoadBalancerIp", aliases=("consoleLoadBalancerIP",)),
    Field("traffic", list),
)  # fmt: skip - one body
RELEASE = (
    Field("poolDomain"), Field("subdomain"), Field("fqdn"), Field("reason", is_needed=True), Field("reservationToken"),
)  # fmt: skip
FORCE_RELEASE = (
    Field("fqdn", is_needed=True), Field("reason", is_needed=True), Field("confirmFqdn", is_needed=True),
    Field("graceConfirmed", bool, is_needed=True),
)  # fmt: skip
VALIDATE_FORM = (
    Field("poolDomain"), Field("subdomain"), Field("targets", list), Field("registrar"), Field("domain"),
    Field("credential", dict), Field("account"), Field("token"), Field("nameservers", list), Field("pointsTo"),
)  # fmt: skip
FIELDS = {
    "parent": "poolDomain", "label": "subdomain", "reservation_token": "reservationToken", "ttl": "ttlSeconds",
    "sovereign_fqdn": "sovereignFqdn", "created_by": "createdBy", "confirm_fqdn": "confirmFqdn",
    "grace_confirmed": "graceConfirmed",
}  # fmt: skip
"""Fields of the contract by the names that they have here."""


class Told(Exception):
    """What the daemon refused with, in the words of the form."""

    def __init__(self, said: Explained) -> None:
        super().__init__(said.message)
        self.said = said


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to one of these paths."""

    request: Req
    metadata: Metadata
    path: Mapping[str, str]
    fields: Mapping[str, Any]

    def text(self, name: str) -> str:
        """A field of the body; empty where it is absent."""
        return str(self.fields.get(name, ""))

    def query(self, name: str) -> str:
        """A parameter of the query."""
        return str(self.request.query_params.get(name, ""))

    @property
    def request_id(self) -> str:
        """The caller's Idempotency-Key."""
        return request_id(self.request)

    @property
    def etag(self) -> str:
        """What the caller has read."""
        return str(self.request.headers.get("if-match", ""))


@dataclass(frozen=True, slots=True)
class Path:
    """One path that is written by hand."""

    verb: str
    template: str
    handler: str
    status: int = 200
    form: tuple[Field, ...] = ()
    query: tuple[str, ...] = ()
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        pattern = self.template
        for variable, text in _VARIABLES.items():
            pattern = pattern.replace(variable, text)
        object.__setattr__(self, "pattern", re.compile(pattern))


def find(paths: Sequence[Path], verb: str, path: str) -> tuple[Path, Mapping[str, str]] | None:
    """The one of `paths` that a request is for."""
    for one in paths:
        if one.verb == verb and (match := one.pattern.fullmatch(path)):
            return one, match.groupdict()
    return None


def verbs(paths: Sequence[Path], path: str) -> list[str]:
    """With which verbs a path is taken by one of `paths`."""
    return [one.verb for one in paths if one.pattern.fullmatch(path)]


PATHS = (
    Path("POST", "/v1/validate", "validate", 200, VALIDATE_FORM),
    Path("POST", "/v1/reserve", "reserve", 201, RESERVE),
    Path("POST", "/v1/renew", "renew", 200, RENEW),
    Path("POST", "/v1/commit", "commit", 202, COMMIT, ("wait",)),
    Path("POST", "/v1/release", "release", 202, RELEASE),
    Path("POST", "/v1/force-release", "force_release", 202, FORCE_RELEASE),
    Path("DELETE", "/v1/pools/{pool}/allocations/{allocation}", "delete", 202, (), ("reason",)),
    Path("GET", "/v1/pools/{pool}/check", "check", 200, (), ("sub",)),
    Path("GET", "/v1/pools/{pool}/reserved", "reserved", 200, (), ("pageToken",)),
    Path("GET", "/v1/allocations/events", "events"),
)


class Names:
    """Answers these paths."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._names = service_pb2_grpc.AllocationServiceStub(channel)
        self._pools = service_pb2_grpc.PoolServiceStub(channel)
        self._findings = Findings(channel)

    async def answer(
        self, one: Path, variables: Mapping[str, str], request: Req, metadata: Metadata
    ) -> Response[Any] | Stream:
        """Answer one request. Raises Told for what the daemon refuses."""
        body = await bodies.read(request, MOST_BODY)
        if body and not one.form:
            raise BodyUnreadable(why="this method takes none")
        asked = Asked(request, metadata, variables, bodies.fill(one.form, body) if one.form else {})
        handler: Callable[[Asked], Awaitable[Response[Any] | Stream]] = getattr(self, one.handler)
        try:
            return await handler(asked)
        except grpc.aio.AioRpcError as error:
            said = explain(error)
            if not said.violations:
                raise
            raise Told(_renamed(said)) from error

    async def reserve(self, asked: Asked) -> Response[bytes]:
        """Hold a name."""
        wish = service_pb2.ReserveAllocationRequest(
            parent=f"pools/{_domain(asked.text('poolDomain'))}", label=asked.text("subdomain"),
            owner=_owner(asked.text("owner")), created_by=asked.text("createdBy"), holder=asked.text("holder"),
            warm=bool(asked.fields.get("warm")), request_id=asked.request_id,
        )  # fmt: skip
        _set_ttl(wish, asked)
        answer = await self._names.ReserveAllocation(wish, timeout=REST, metadata=asked.metadata)
        held = {**_held(answer.allocation), "reservationToken": answer.reservation_token}
        return _json(held, 201, {"Location": f"/v1/{answer.allocation.name}"})

    async def renew(self, asked: Asked) -> Response[bytes]:
        """Hold it for longer."""
        wish = service_pb2.RenewAllocationRequest(
            name=_name(asked), reservation_token=asked.text("reservationToken"), request_id=asked.request_id
        )
        _set_ttl(wish, asked)
        return _json(_held(await self._names.RenewAllocation(wish, timeout=REST, metadata=asked.metadata)))

    async def commit(self, asked: Asked) -> Response[bytes]:
        """Wish it visible; with `wait`, wait until it is."""
        patience = _patience(asked.query("wait"))
        wish = service_pb2.CommitAllocationRequest(
            name=_name(asked), reservation_token=asked.text("reservationToken"),
            sovereign_fqdn=asked.text("sovereignFqdn"), targets=_targets(asked.fields),
            traffic=_traffic(asked.fields.get("traffic", ())), request_id=asked.request_id,
        )  # fmt: skip
        a = await self._names.CommitAllocation(wish, timeout=REST, metadata=asked.metadata)
        if patience and a.state == resources_pb2.Allocation.STATE_PROVISIONING:
            wait = service_pb2.WaitAllocationRequest(name=a.name, generation=a.generation)
            wait.timeout.FromMilliseconds(int(patience * 1000))
            a = await self._names.WaitAllocation(wait, timeout=REST, metadata=asked.metadata)
        return _stored(a)

    async def release(self, asked: Asked) -> Response[bytes]:
        """Give it back."""
        wish = service_pb2.ReleaseAllocationRequest(
            name=_name(asked), reason=asked.text("reason"), reservation_token=asked.text("reservationToken"),
            request_id=asked.request_id, etag=asked.etag,
        )  # fmt: skip
        return _stored(await self._names.ReleaseAllocation(wish, timeout=REST, metadata=asked.metadata), 202)

    async def delete(self, asked: Asked) -> Response[bytes]:
        """Give it back, by its path."""
        wish = service_pb2.ReleaseAllocationRequest(
            name=f"pools/{asked.path['pool']}/allocations/{asked.path['label']}",
            reason=asked.query("reason") or "deleted over REST", request_id=asked.request_id,
        )  # fmt: skip
        conditions.demand(wish, asked.etag)
        return _stored(await self._names.ReleaseAllocation(wish, timeout=REST, metadata=asked.metadata), 202)

    async def force_release(self, asked: Asked) -> Response[bytes]:
        """Take it from an owner who does not give it back."""
        wish = service_pb2.ForceReleaseAllocationRequest(
            name=_name(asked), reason=asked.text("reason"), confirm_fqdn=asked.text("confirmFqdn"),
            grace_confirmed=bool(asked.fields["graceConfirmed"]), request_id=asked.request_id, etag=asked.etag,
        )  # fmt: skip
        return _stored(await self._names.ForceReleaseAllocation(wish, timeout=REST, metadata=asked.metadata), 202)

    async def check(self, asked: Asked) -> Response[bytes]:
        """Whether a label could be had. Not known is not available."""
        pool, label = asked.path["pool"], asked.query("sub")
        wish = service_pb2.CheckNameRequest(parent=f"pools/{pool}", label=label)
        try:
            answer = await self._names.CheckName(wish, timeout=CHECK, metadata=asked.metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                raise
            return _json(_checked(False, "PDM_UNREACHABLE", "the pool-domain manager does not answer; ask again"))
        if answer.reason == "POOL_NOT_FOUND":
            return _json(await _outside(f"{label.strip().lower()}.{pool}"))
        return Response(to_json(answer).encode(), media_type="application/json", status_code=200)

    async def reserved(self, asked: Asked) -> Response[bytes]:
        """What the pool never hands out."""
        wish = service_pb2.ListReservedNamesRequest(
            parent=f"pools/{asked.path['pool']}", page_size=500, page_token=asked.query("pageToken")
        )
        answer = await self._pools.ListReservedNames(wish, timeout=REST, metadata=asked.metadata)
        return Response(to_json(answer).encode(), media_type="application/json", status_code=200)

    async def validate(self, asked: Asked) -> Response[bytes]:
        """Everything that is wrong with what somebody means to ask for, at once."""
        async with asyncio.timeout(VALIDATE):
            return _json(await self._findings.of(asked.fields, asked.metadata))

    async def events(self, asked: Asked) -> Stream:
        """What happens to names that the caller may read."""
        last = asked.request.headers.get("last-event-id", "")
        wish = service_pb2.WatchAllocationsRequest(
            parent="pools/-", from_version=int(last) if last.isascii() and last.isdigit() and len(last) < 19 else 0
        )
        call = self._names.WatchAllocations(wish, metadata=asked.metadata)
        return Stream(_frames(call), media_type="text/event-stream", headers=HEADERS, status_code=200)


async def _frames(call: Any) -> AsyncIterator[bytes]:
    """Changes as frames; a place without a change keeps the connection alive."""
    try:
        async for change in call:
            if change.reset:
                yield frame({"version": str(change.version)}, event="reset", id=str(change.version))
            elif change.event:
                yield frame(json.loads(to_json(change.allocation)), event=change.event, id=str(change.version))
            else:
                yield b": still here\n\n"
    except grpc.aio.AioRpcError as error:
        yield refused(explain(error))
    finally:
        call.cancel()


def request_id(request: Req) -> str:
    """The caller's Idempotency-Key as the mesh has them: a UUID stays what it is, of another key one is made."""
    key = str(request.headers.get("idempotency-key", "")).strip().strip('"')
    with suppress(ValueError):
        return str(UUID(key))
    return str(uuid5(NAMESPACE_URL, f"urn:catalyst:idempotency-key:{key}")) if key else ""


def _renamed(said: Explained) -> Explained:
    violations = tuple(Violation(FIELDS.get(v.field, v.field), v.description, v.rule) for v in said.violations)
    return Explained(said.code, said.reason, said.message, said.metadata, violations, said.retry_after)


def _owner(given: str) -> str:
    return f"organizations/{given}" if given and "/" not in given else given


def _name(asked: Asked) -> str:
    """Resource name of the pair, or of the full name. Raises InvalidRequest."""
    pool, label = asked.text("poolDomain"), asked.text("subdomain")
    if asked.text("fqdn") and not (pool or label):
        label, _, pool = asked.text("fqdn").strip().partition(".")
    if not (pool and label):
        raise InvalidRequest((Violation("fqdn", "say the name: poolDomain and subdomain, or fqdn", "required"),))
    return f"pools/{_domain(pool)}/allocations/{label.strip().lower()}"


def _domain(given: str) -> str:
    """A domain as resources are named by it: names are the same in capitals (RFC 4343) and with the root's dot."""
    return given.strip().lower().removesuffix(".")


def _set_ttl(wish: Any, asked: Asked) -> None:
    seconds = asked.fields.get("ttlSeconds")
    if seconds is None:
        return
    if not 0 < seconds <= 86400:
        raise InvalidRequest((Violation("ttlSeconds", "it is 1 to 86400", "range"),))
    wish.ttl.FromSeconds(seconds)


def _targets(fields: Mapping[str, Any]) -> list[resources_pb2.Target]:
    """Targets by slot; the two addresses of the earlier form are those of `default` and `console`."""
    found, faults = [], []
    for n, raw in enumerate(fields.get("targets", ())):
        if (
            not isinstance(raw, dict)
            or not all(isinstance(v, str) for v in raw.values())
            or raw.keys() - {"slot", "address"}
        ):
            faults.append(Violation(f"targets[{n}]", "it has slot and address, both text", "type"))
        else:
            found.append(resources_pb2.Target(slot=raw.get("slot", ""), address=raw.get("address", "")))
    if faults:
        raise InvalidRequest(tuple(faults))
    for slot, name in (("default", "loadBalancerIp"), ("console", "consoleLoadBalancerIp")):
        if address := fields.get(name):
            found.append(resources_pb2.Target(slot=slot, address=address))
    return found


def _traffic(raw: Sequence[Any]) -> list[resources_pb2.TrafficPolicy]:
    found, faults = [], []
    for n, one in enumerate(raw):
        try:
            found.append(
                json_format.ParseDict(one if isinstance(one, dict) else {"": one}, resources_pb2.TrafficPolicy())
            )
        except json_format.ParseError as error:
            faults.append(Violation(f"traffic[{n}]", str(error).split("\n")[0], "json"))
    if faults:
        raise InvalidRequest(tuple(faults))
    return found


def _patience(text: str) -> float:
    if not text:
        return 0.0
    found = _WAIT.fullmatch(text)
    if found is None:
        raise InvalidRequest((Violation("wait", "say seconds, such as 30s", "query"),))
    return min(float(found[1]), MOST_WAIT)


def _held(a: resources_pb2.Allocation) -> dict[str, Any]:
    _, pool, _, label = a.name.split("/")
    return {
        "name": a.name, "poolDomain": pool, "subdomain": label, "fqdn": a.fqdn,
        "state": resources_pb2.Allocation.State.Name(a.state).removeprefix("STATE_"),
        "reservedAt": a.reserve_time.ToJsonString(),
        "expiresAt": a.expire_time.ToJsonString() if a.HasField("expire_time") else None, "createdBy": a.created_by,
    }  # fmt: skip


def _stored(a: resources_pb2.Allocation, status: int = 200) -> Response[bytes]:
    """An allocation; 202 while it is on its way, with when to look again."""
    on_its_way = a.state in (resources_pb2.Allocation.STATE_PROVISIONING, resources_pb2.Allocation.STATE_RELEASING)
    headers = {**conditions.headers_of(a), "Location": f"/v1/{a.name}", **({"Retry-After": "2"} if on_its_way else {})}
    status = 202 if on_its_way else status
    return Response(to_json(a).encode(), media_type="application/json", status_code=status, headers=headers)


def _checked(available: bool, reason: str, detail: str, fqdn: str = "") -> dict[str, Any]:
    return {"available": available, "reason": reason, "detail": detail, "fqdn": fqdn, "availableTime": None, "rule": ""}


async def _outside(fqdn: str) -> dict[str, Any]:
    """A name that is in no pool, as the system's resolver sees it."""
    if not _FQDN.fullmatch(fqdn):
        return _checked(False, "LABEL_INVALID", "that is no host name")
    try:
        await lookups.look_up(fqdn)
    except lookups.NoSuchName:
        return _checked(True, "", "", fqdn)
    except lookups.LookupFailed:
        return _checked(False, "lookup-error", "the name could not be looked up", fqdn)
    return _checked(False, "exists", "the name is there already", fqdn)


def _json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response[bytes]:
    return Response(
        json.dumps(body).encode(), media_type="application/json", status_code=status, headers=dict(headers or {})
    )
