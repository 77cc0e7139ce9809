"""AgentService: the line between a cluster and this daemon."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from catalyst.provisioner.v1 import service_pb2, service_pb2_grpc
from catalyst.provisioner.v1.resources_pb2 import AgentCommand as Command
from catalyst.provisioner.v1.resources_pb2 import AgentReport as Report
from catalyst_mesh import Context, Issuer, Sealer, Work, caller, span, stamp
from catalyst_mesh.streams import Curfew
from catalyst_mesh.waits import ended
from catalyst_sdk import Code, Decision, Refused

from .. import mirroring, observing
from ..certificates import Authority, public_key, read_request
from ..domain import conditions, enrolments, facts, joins, trees
from ..domain.enrolments import sha256
from ..domain.joins import Join, Part
from ..domain.sovereign import Sovereign
from ..gitserver import Passwords
from ..heartbeats import Heartbeats
from ..repository import BRANCH
from ..steps.tools import ServesTrees
from ..store import COMMANDS, ClusterRow, EnrolmentRow, Entry, JoinRow, Store
from ..store.secrets import joining

ROLE = "agent"
LIFE = timedelta(hours=24)
MOST_AT_ONCE = 64
"""Reports that one transaction takes."""
LARGEST = 1024 * 1024
ROLES = {
    Part.INIT: service_pb2.EnrollResponse.ROLE_INIT,
    Part.JOIN: service_pb2.EnrollResponse.ROLE_JOIN,
    Part.WORKER: service_pb2.EnrollResponse.ROLE_WORKER,
}
LOOK = 0.5
"""Seconds for which a stream waits for reports before it looks whether it was replaced, or a bell rang for commands."""


class StreamReplaced(Refused):
    code, reason, message = Code.ABORTED, "STREAM_REPLACED", "this server has opened another stream"


class ReportTooLarge(Refused):
    code, reason = Code.RESOURCE_EXHAUSTED, "REPORT_TOO_LARGE"
    message = "a report has {size} bytes, at most {most} pass"
    retry_after = None


@dataclass(frozen=True, slots=True)
class Desk:
    """What enrolment gives out."""

    issuer: Issuer
    authority: Authority
    sealer: Sealer
    passwords: Passwords
    trees: ServesTrees
    heartbeats: Heartbeats


class AgentService(service_pb2_grpc.AgentServiceServicer):
    """Enrolment and the stream of reports and commands."""

    def __init__(self, work: Work[Store], desk: Desk, curfew: Curfew) -> None:
        self._work = work
        self._desk = desk
        self._curfew = curfew
        self._streams: dict[str, asyncio.Event] = {}

    async def Enroll(self, request: service_pb2.EnrollRequest, context: Context) -> service_pb2.EnrollResponse:
        csr = read_request(request.csr_pem)
        digest, key = sha256(request.token), public_key(csr)

        async def step(tx: Store) -> Decision[service_pb2.EnrollResponse]:
            row = await self._bound(tx, digest, request.server_id)
            ticket = row.ticket if row else None
            first = enrolments.admit(
                ticket, token=request.token, server_id=request.server_id, public_key=key, now=tx.now
            )
            assert row is not None, "an unknown token is refused"
            if not first and row.answer is not None:
                # The first answer was lost on its way, so the same one is given again; only its times are new.
                known = service_pb2.EnrollResponse.FromString(self._desk.sealer.open(row.answer, row.place("answer")))
                return Decision(self._renewed(known, digest, csr, tx.now))
            return await self._enrolled(tx, row, request, csr, digest)

        # The answer holds secrets and has no request id; the sealed row is what a repeat is answered from.
        return await self._work.again(lambda tx: _answered(tx, step))

    async def Renew(self, request: service_pb2.RenewRequest, context: Context) -> service_pb2.RenewResponse:
        digest, csr = _digest_of(caller(context).subject), read_request(request.csr_pem)
        async with self._work.reading() as tx:
            row = await tx.enrolment(token_sha256=digest)
            now = tx.now
        if row is None:
            raise observing.ServerGone
        if row.server_id != request.server_id or row.public_key_sha256 != sha256(public_key(csr)):
            raise observing.OtherCluster
        name = f"{_resource(row)}/servers/{row.server}"
        return service_pb2.RenewResponse(
            certificate_pem=self._desk.authority.sign(csr, name, now, LIFE), ca_bundle_pem=self._desk.authority.bundle,
            agent_token=self._token(digest), expire_time=stamp(now + LIFE),
        )  # fmt: skip

    async def Connect(self, request_iterator: AsyncIterator[Report], context: Context) -> AsyncIterator[Command]:
        digest = _digest_of(caller(context).subject)
        async with self._work.reading() as tx:
            row = await tx.enrolment(token_sha256=digest)
            is_worker = row is not None and row.server in _workers(await tx.entries(row.sovereign, row.cluster))
        if row is None:
            raise observing.ServerGone
        replaced = self._take_over(digest)
        queue: asyncio.Queue[Report | None] = asyncio.Queue(maxsize=4 * MOST_AT_ONCE)
        reading = asyncio.create_task(_into(queue, request_iterator))
        self._desk.heartbeats.begun(row)
        try:
            async for command in self._curfew.bounded(self._line(row, queue, replaced, is_worker=is_worker)):
                yield command
        finally:
            self._desk.heartbeats.over(row)
            await ended(reading)
            if self._streams.get(digest) is replaced:
                del self._streams[digest]

    async def _line(
        self, row: EnrolmentRow, queue: asyncio.Queue[Report | None], replaced: asyncio.Event, *, is_worker: bool
    ) -> AsyncIterator[Command]:
        sent, looked = 0, -math.inf
        with self._work.bell.listening(COMMANDS) as rung:
            while True:
                if rung.is_set() or time.monotonic() - looked > self._work.bell.patience:
                    rung.clear()
                    looked = time.monotonic()
                    for command in await self._commands(row, after=sent, is_worker=is_worker):
                        sent = command.id
                        yield command
                batch = await _batch(queue)
                if replaced.is_set():
                    raise StreamReplaced
                if batch is None:
                    return
                if batch:
                    ack = await self._taken(row, batch)
                    yield Command(ack=ack, heartbeat_interval=span(self._desk.heartbeats.interval))

    async def _taken(self, row: EnrolmentRow, batch: list[Report]) -> int:
        heartbeats, began = self._desk.heartbeats, time.monotonic()
        if heartbeats.heard(row, batch):
            return batch[-1].seq
        taken = await self._work.again(lambda tx: observing.take(tx, row.token_sha256, batch, self._desk.sealer))
        heartbeats.written(row, batch, time.monotonic() - began)
        return taken

    async def _commands(self, row: EnrolmentRow, *, after: int, is_worker: bool) -> list[Command]:
        """What the server is to do beyond number `after`."""
        async with self._work.reading() as tx:
            rows = await tx.open_commands(row.sovereign, row.cluster, server=row.server, is_worker=is_worker)
        found = []
        for number, body in rows:
            if number > after:
                command = Command.FromString(body)
                command.id = number
                if command.HasField("workloads"):
                    command.workloads.password = await self._login(row)
                found.append(command)
        return found

    async def _login(self, row: EnrolmentRow) -> str:
        """Password of the cluster at the repositories of Applications, which stands in no command."""
        async with self._work.reading() as tx:
            cluster = await tx.cluster(row.sovereign, row.cluster)
        if cluster is None or not cluster.git_password:
            return ""
        return self._desk.sealer.open(cluster.git_password, cluster.place("git_password")).decode()

    def _take_over(self, digest: str) -> asyncio.Event:
        if before := self._streams.get(digest):
            before.set()
        self._streams[digest] = asyncio.Event()
        return self._streams[digest]

    async def _bound(self, tx: Store, digest: str, server_id: str) -> EnrolmentRow | None:
        """The token's row, with the id that the ledger knows of its server."""
        row = await tx.enrolment(token_sha256=digest)
        if row is None or row.server_id:
            return row
        entries = await tx.entries(row.sovereign, row.cluster)
        known = next((e.resource_id for e in entries if e.kind == "server" and e.name == row.server), "")
        if not known:
            raise joins.JoinNotYet(why="the cloud's answer about this server is not written down yet")
        await tx.change_enrolment(digest, server_id=known)
        return await tx.enrolment(token_sha256=digest)

    async def _enrolled(
        self, tx: Store, row: EnrolmentRow, request: service_pb2.EnrollRequest, csr: Any, digest: str
    ) -> Decision[service_pb2.EnrollResponse]:
        held, cluster = await tx.lock(row.sovereign), await tx.cluster(row.sovereign, row.cluster)
        if held is None or cluster is None:
            raise enrolments.TokenUnknown
        part, join = await self._joining(tx, cluster, row, next(iter(request.addresses), ""))
        answer = self._answer(held, cluster, row, part, join)
        await mirroring.handed(tx, self._desk.sealer, held.spec, answer)
        # The token has done its work; from now on its digest and the key speak.
        kept = self._desk.sealer.seal(answer.SerializeToString(), row.place("answer"))
        await tx.change_enrolment(digest, public_key_sha256=sha256(public_key(csr)), answer=kept, token=None)
        told: tuple[object, ...] = ()
        if cluster.enrolled_at is None:
            await tx.change_cluster(held.id, cluster.name, enrolled_at=tx.now)
            held = held.told(tx.now)
            await tx.save(held)
            told = (
                facts.ClusterEnrolled(
                    held, cluster.resource, cluster.provider, cluster.region, cluster.spec["location_code"],
                    held.simulated, held.last_run,
                ),
            )  # fmt: skip
        return Decision(self._renewed(answer, digest, csr, tx.now), told)

    async def _joining(self, tx: Store, cluster: ClusterRow, row: EnrolmentRow, address: str) -> tuple[Part, Join]:
        """What the server becomes, and what it needs of the others; recorded before it is given out."""
        known_entries = await tx.entries(row.sovereign, row.cluster)
        entries, workers = {e.name for e in known_entries if e.kind == "server"}, _workers(known_entries)
        enrolled = {one.server for one in await tx.enrolments(row.sovereign, row.cluster) if one.public_key_sha256}
        beat = (cluster.heartbeat or {}) if not conditions.is_silent(cluster.heartbeat_at, tx.now) else {}
        quorum = joins.Quorum(
            is_begun=cluster.enrolled_at is not None,
            answers=bool(beat.get("api_healthy")),
            authority=str(beat.get("authority_sha256", "")),
            voting=int(beat.get("voting_members", 0)),
            admitted=len((enrolled & entries) - workers - {row.server}),
        )
        part = joins.part(quorum, is_worker=row.server in workers)
        known = await tx.join(row.sovereign, row.cluster)
        if known is None:
            join = joins.drawn(address)
            await tx.keep_join(self._sealed(row, join))
            return part, join
        server, worker = (
            self._desk.sealer.open(sealed, joining(row.sovereign, row.cluster, kind))
            for sealed, kind in ((known.server_token, "server_token"), (known.worker_token, "worker_token"))
        )
        authority = "" if part is Part.INIT else quorum.authority
        return part, Join(server.decode(), worker.decode(), known.endpoint, authority)

    def _sealed(self, row: EnrolmentRow, join: Join) -> JoinRow:
        server, worker = (
            self._desk.sealer.seal(token.encode(), joining(row.sovereign, row.cluster, kind))
            for token, kind in ((join.server_token, "server_token"), (join.worker_token, "worker_token"))
        )
        return JoinRow(row.sovereign, row.cluster, server, worker, join.endpoint)

    def _answer(
        self, held: Sovereign, cluster: ClusterRow, row: EnrolmentRow, part: Part, join: Join
    ) -> service_pb2.EnrollResponse:
        is_worker, desk = part is Part.WORKER, self._desk
        tree = service_pb2.TreeAccess(
            url=desk.trees.url(held.id), branch=BRANCH, path=trees.folder(held.fqdn, cluster.name),
            username=desk.passwords.username(held.id, cluster.name),
            password=desk.passwords.password(held.uid, cluster.name),
        )  # fmt: skip
        return service_pb2.EnrollResponse(
            sovereign=held.name, cluster=cluster.resource, server=row.server,
            role=ROLES[part], tree=tree, join_endpoint="" if part is Part.INIT else _api(cluster) or join.endpoint,
            join_token=join.as_worker if is_worker else join.as_server,
            worker_token="" if is_worker else join.worker_token,
            facts={"fqdn": held.fqdn, "organization": held.organization, "region": cluster.region},
            heartbeat_interval=span(desk.heartbeats.interval),
        )  # fmt: skip

    def _renewed(
        self, answer: service_pb2.EnrollResponse, digest: str, csr: Any, now: datetime
    ) -> service_pb2.EnrollResponse:
        made = service_pb2.EnrollResponse()
        made.CopyFrom(answer)
        made.certificate_pem = self._desk.authority.sign(csr, f"{answer.cluster}/servers/{answer.server}", now, LIFE)
        made.ca_bundle_pem = self._desk.authority.bundle
        made.agent_token = self._token(digest)
        made.expire_time.FromDatetime(now + LIFE)
        return made

    def _token(self, digest: str) -> str:
        # Bound by the digest to one row, and by that to one Sovereign, cluster and server.
        return self._desk.issuer.token(f"{ROLE}:{digest}", roles=[ROLE], ttl=int(LIFE.total_seconds()))


async def _answered(tx: Store, step: Any) -> service_pb2.EnrollResponse:
    decision: Decision[service_pb2.EnrollResponse] = await step(tx)
    tx.emit(*decision.events)
    return decision.state


async def _into(queue: asyncio.Queue[Report | None], reports: AsyncIterator[Report]) -> None:
    try:
        async for report in reports:
            await queue.put(report)
    finally:
        await queue.put(None)


async def _batch(queue: asyncio.Queue[Report | None]) -> list[Report] | None:
    """What has come, at most so many; [] when nothing came for a while, None at the end."""
    try:
        async with asyncio.timeout(LOOK):
            first = await queue.get()
    except TimeoutError:
        return []
    if first is None:
        return None
    batch = [first]
    while not queue.empty() and len(batch) < MOST_AT_ONCE:
        report = queue.get_nowait()
        if report is None:
            queue.put_nowait(None)
            break
        batch.append(report)
    for report in batch:
        if report.ByteSize() > LARGEST:
            raise ReportTooLarge(size=report.ByteSize(), most=LARGEST)
    return batch


def _digest_of(subject: str) -> str:
    kind, _, digest = subject.partition(":")
    if kind != ROLE or len(digest) != 64:
        raise observing.OtherCluster
    return digest


def _api(cluster: ClusterRow) -> str:
    """Private host of the cluster's API, as the cloud showed it after its first apply."""
    return urlsplit((cluster.made or {}).get("api_endpoint", "")).hostname or ""


def _workers(entries: Iterable[Entry]) -> set[str]:
    """Names of the servers that are none of the control plane."""
    return {e.name for e in entries if e.kind == "server" and e.labels.get(joins.ROLE_LABEL) == joins.WORKER}


def _resource(row: EnrolmentRow) -> str:
    return f"sovereigns/{row.sovereign}/clusters/{row.cluster}"
