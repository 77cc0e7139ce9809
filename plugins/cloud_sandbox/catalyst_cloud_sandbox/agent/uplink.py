"""The line home: enrolment, one stream of reports up and commands down, renewal; over and over until the server is gone.

What it keeps to: a report is on disk before it is sent, and is sent again until it is confirmed; after each break
everything is told anew; nothing is added while there is no line, so that a long silence costs no memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_agent.outbox import Outbox

from . import identity as identities
from . import reports
from .cluster import Cluster, silence
from .identity import Identity, Tree

ENROL_LIMIT = 10.0
STREAM_LIMIT = 3600.0
"""Seconds after which a stream is made anew, so that replicas of the daemon share the load."""
SLOWEST = 2.0
"""Longest pause between two tries, in seconds."""
REFUSAL = 0.1
"""Seconds in which the daemon would have refused a stream."""
DEFAULT_HEARTBEAT = 15.0
MOST_PENDING = 100
"""Unconfirmed reports above which no heartbeat is added."""

Command = resources_pb2.AgentCommand
Obey = Callable[[Command], reports.Report | None]
if TYPE_CHECKING:  # generated stubs: classes for the type checker only
    Stub = service_pb2_grpc.AgentServiceAsyncStub
    Call = grpc.aio.StreamStreamCall[reports.Report, Command]


class Uplink:
    """The agent's side of `AgentService`."""

    def __init__(self, folder: Path, cluster: Cluster, obey: Obey, making: identities.Making) -> None:
        self._folder = folder
        self._cluster = cluster
        self._obey = obey
        self._making = making
        self._outbox = Outbox(folder / "outbox.jsonl")
        self._news = asyncio.Event()
        self.identity = identities.load(folder)
        self._distrusted = False
        self._pace = 0.0
        """Seconds between heartbeats as the daemon said last; 0: as it said at enrolment."""
        self._repaced = asyncio.Event()

    async def run(self) -> None:
        """Keep the line up for ever."""
        pause = 0.1
        while True:
            began = time.monotonic()
            try:
                async with _channel(self._cluster.here.endpoint) as channel:
                    await self._talk(service_pb2_grpc.AgentServiceStub(channel))
            except grpc.aio.AioRpcError as error:
                self._note(error)
            finally:
                self._cluster.tell = silence
            pause = 0.1 if time.monotonic() - began > SLOWEST else min(SLOWEST, pause * 2)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries, guards nothing

    def pull_from(self, tree: Tree) -> None:
        """Remember another tree."""
        if self.identity:
            self.identity = self.identity.with_tree(tree)
            identities.save(self._folder, self.identity)

    async def _talk(self, stub: Stub) -> None:
        if self.identity is None or self._distrusted:
            self.identity = await self._enrol(stub)
            self._distrusted = False
        self._cluster.tell = self._tell
        self._cluster.tell_everything()
        call = stub.Connect(self._reports(), metadata=_bearer(self.identity), timeout=STREAM_LIMIT)
        beside = [asyncio.create_task(work) for work in (self._beat(), self._renew(stub, call))]
        try:
            async for command in call:
                self._receive(command)
        finally:
            call.cancel()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _enrol(self, stub: Stub) -> Identity:
        here = self._cluster.here
        request = service_pb2.EnrollRequest(
            token=here.token,
            csr_pem=await self._request(),
            server_id=here.id,
            agent_version=reports.VERSION,
            addresses=[here.private_ip] if here.private_ip else [],
        )
        given = _identity(await stub.Enroll(request, timeout=ENROL_LIMIT))
        identities.save(self._folder, given)
        return given

    async def _request(self) -> str:
        if self._making:
            await asyncio.to_thread(self._making.wait)
        self._making = identities.prepare(self._folder)
        if self._making:
            await asyncio.to_thread(self._making.wait)
        return (self._folder / identities.REQUEST).read_text(encoding="ascii")

    async def _reports(self) -> AsyncIterator[reports.Report]:
        # A refusal comes at once. Writing into it would turn its status into "Internal error from Core".
        await asyncio.sleep(REFUSAL)
        sent = 0
        while True:
            self._news.clear()
            for number, report in self._outbox.after(sent):
                yield reports.Report.FromString(report)
                sent = number
            await self._news.wait()

    async def _beat(self) -> None:
        while True:
            enrolled = self.identity.heartbeat_seconds if self.identity else DEFAULT_HEARTBEAT
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace or enrolled):
                    await self._repaced.wait()
                self._repaced.clear()
                continue
            if len(self._outbox) < MOST_PENDING:
                self._cluster.beat()

    async def _renew(self, stub: Stub, call: Call) -> None:
        while self.identity and self.identity.renew_at:
            await asyncio.sleep(max(1.0, self.identity.renew_at - time.time()))
            request = service_pb2.RenewRequest(csr_pem=await self._request(), server_id=self._cluster.here.id)
            try:
                answer = await stub.Renew(request, timeout=ENROL_LIMIT, metadata=_bearer(self.identity))
            except grpc.aio.AioRpcError as error:
                self._note(error)
                call.cancel()  # the next try of the line decides whether the old token still counts
                return
            self.identity = _renewed(self.identity, answer)
            identities.save(self._folder, self.identity)

    def _tell(self, report: reports.Report) -> None:
        number, here = self._outbox.next, self._cluster.here
        report.seq, report.simulated = number, True
        report.time.CopyFrom(reports.moment(time.time()))
        report.cluster, report.server_id = here.cluster, here.id
        report.observed_generation = self._cluster.memory.observed_generation
        self._outbox.add(number, report.SerializeToString())
        self._news.set()

    def _receive(self, command: Command) -> None:
        self._outbox.confirm(command.ack)
        if (pace := command.heartbeat_interval.ToTimedelta().total_seconds()) not in (0.0, self._pace):
            self._pace = pace
            self._repaced.set()
        if command.id > self._cluster.memory.last_command:
            answer = self._obey(command)
            if answer is not None:
                self._tell(answer)
            self._cluster.did(command.id)

    def _note(self, error: grpc.aio.AioRpcError) -> None:
        # Enrolling again is safe: the same token with the same key gets the same answer. Where it is refused, the line
        # is tried with the old identity the next time.
        self._distrusted = error.code() is grpc.StatusCode.UNAUTHENTICATED and not self._distrusted
        print(f"simulated agent: {error.code().name} {error.details()}", flush=True)  # noqa: T201 - agent.log


def _channel(endpoint: str) -> grpc.aio.Channel:
    # Simulated clusters live on the machine of the daemon, whose port is plain on loopback.
    return grpc.aio.insecure_channel(endpoint, options=[("grpc.max_receive_message_length", 4 * 1024 * 1024)])


def _bearer(identity: Identity) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {identity.agent_token}"),)


def _identity(answer: service_pb2.EnrollResponse) -> Identity:
    ends = answer.expire_time.seconds
    return Identity(
        cluster=answer.cluster,
        server=answer.server,
        agent_token=answer.agent_token,
        certificate_pem=answer.certificate_pem,
        ca_bundle_pem=answer.ca_bundle_pem,
        expires_at=ends,
        renew_at=_two_thirds(ends),
        heartbeat_seconds=answer.heartbeat_interval.ToTimedelta().total_seconds() or DEFAULT_HEARTBEAT,
        tree=Tree(
            url=answer.tree.url,
            branch=answer.tree.branch or "main",
            path=answer.tree.path,
            commit=answer.tree.commit,
            username=answer.tree.username,
            password=answer.tree.password,
        ),
    )


def _renewed(old: Identity, answer: service_pb2.RenewResponse) -> Identity:
    ends = answer.expire_time.seconds
    return replace(
        old,
        agent_token=answer.agent_token,
        certificate_pem=answer.certificate_pem,
        expires_at=ends,
        renew_at=_two_thirds(ends),
    )


def _two_thirds(ends: float) -> float:
    """When to renew what is valid from now to `ends`; 0 for never."""
    now = time.time()
    return now + (ends - now) * 2 / 3 if ends else 0.0
