"""The line home: what the cluster shows goes up, commands come down, over and over until the server is gone.

What it keeps to: a report is on disk before it is sent and is sent again until it is confirmed; after each break all is
told anew; a command is done once, and its result is on disk before its number counts as done.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2, service_pb2_grpc

from . import VERSION, commands, files, identity, probing, seen, stages
from .enrolment import channel, two_thirds
from .identity import Identity
from .kube import Kube, NotAnswered
from .machine import Machine
from .outbox import Outbox

STREAM_LIMIT = 3600.0
"""Seconds after which a stream is made anew, so that replicas of the daemon share the load."""
CALL_LIMIT = 30.0
SLOWEST = 30.0
"""Longest pause between two tries, in seconds."""
REFUSAL = 0.1
"""Seconds in which the daemon would have refused a stream."""
MOST_PENDING = 200
"""Unconfirmed reports above which nothing that will be told again anyway is added."""
LOOK = 5.0
"""Seconds between two looks at the cluster."""
WHOLE = 300.0
"""Seconds after which the inventory is told though it has not changed."""
UNSEEN = (NotAnswered, KeyError, TypeError, ValueError, AttributeError)
"""An answer that did not come, or an object of a shape that nobody announced: it is not seen, and the next look may see it."""
MEMORY, OUTBOX = "memory.json", "outbox.jsonl"


class Line:
    """The agent's side of `AgentService`, once it has enrolled."""

    def __init__(
        self, folder: Path, kube: Kube, me: Identity, *, machine: Machine | None = None, look: float = LOOK
    ) -> None:
        self._folder = folder
        self._kube = kube
        self._machine = machine or Machine()
        self._me = me
        self._look = look
        self._outbox = Outbox(folder / OUTBOX)
        self._memory: dict[str, int] = files.read_json(folder / MEMORY) or {"command": 0, "generation": 0}
        self._news = asyncio.Event()
        self._pace = 0.0
        """Seconds between heartbeats as the daemon said last; 0: as it said at enrolment."""
        self._told: dict[str, Any] = {}
        """What was told on this stream, by subject; a new stream knows nothing."""

    async def run(self) -> None:
        """Keep the line up until it is cancelled."""
        try:
            await self._kept_up()
        finally:
            self._outbox.close()

    async def _kept_up(self) -> None:
        pause = 1.0
        while True:
            began = time.monotonic()
            try:
                async with channel(self._me.endpoint, self._me.authority_pem) as made:
                    await self._talk(service_pb2_grpc.AgentServiceStub(made))
            except grpc.aio.AioRpcError as error:
                _say(f"{error.code().name} {error.details()}")
            pause = 1.0 if time.monotonic() - began > SLOWEST else min(SLOWEST, pause * 2)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads tries, guards nothing

    async def deliver(self, limit: float) -> bool:
        """Send the stages that wait and nothing else; whether all were confirmed in `limit` seconds."""
        self._take_stages()
        try:
            async with asyncio.timeout(limit), channel(self._me.endpoint, self._me.authority_pem) as made:
                call = service_pb2_grpc.AgentServiceStub(made).Connect(self._reports(), metadata=self._bearer)
                async for command in call:
                    self._outbox.confirm(command.ack)
                    if not len(self._outbox):
                        break
                call.cancel()
        except (TimeoutError, grpc.aio.AioRpcError):
            pass  # they stay in the outbox, for the service
        return not len(self._outbox)

    async def _talk(self, stub: Any) -> None:
        self._told.clear()
        call = stub.Connect(self._reports(), metadata=self._bearer, timeout=STREAM_LIMIT)
        orders: asyncio.Queue[pb.AgentCommand] = asyncio.Queue()
        beside = [asyncio.create_task(work) for work in (self._watch(), self._renew(stub, call), self._obey(orders))]
        try:
            async for command in call:
                self._outbox.confirm(command.ack)
                self._pace = command.heartbeat_interval.ToTimedelta().total_seconds() or self._pace
                orders.put_nowait(command)
        except asyncio.CancelledError:
            if (me := asyncio.current_task()) and me.cancelling():
                raise
            # Not we: a renewal that was refused has ended the stream.
        finally:
            call.cancel()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)

    async def _reports(self) -> AsyncIterator[pb.AgentReport]:
        # A refusal comes at once. Writing into it would turn its status into "Internal error from Core".
        await asyncio.sleep(REFUSAL)
        sent = 0
        while True:
            self._news.clear()
            for number, report in self._outbox.after(sent):
                yield pb.AgentReport.FromString(report)
                sent = number
            await self._news.wait()

    async def _watch(self) -> None:
        """Look at the cluster, and tell what is new."""
        beat_at = whole_at = 0.0
        while True:
            self._take_stages()
            if self._me.tells_of_the_cluster and len(self._outbox) < MOST_PENDING:
                now = time.monotonic()
                if now >= whole_at:
                    self._told.pop("inventory", None)
                    whole_at = now + WHOLE
                if now >= beat_at:
                    await self._beat()
                    beat_at = now + (self._pace or self._me.heartbeat_seconds)
                try:
                    await self._inventory()
                    await self._components()
                except UNSEEN as error:
                    _say(f"not seen: {error!r}")  # told is what was seen, and nothing was
            await asyncio.sleep(self._look)

    async def _beat(self) -> None:
        """A sign of life; that the API does not answer is one too."""
        healthy = await self._kube.is_healthy()
        nodes = await self._shown("nodes") if healthy else []
        roots = await self._shown(commands.ROOT) if healthy else []
        authority = self._machine.authority()
        self._tell(heartbeat=seen.heartbeat(nodes, roots, healthy=healthy, version=VERSION, authority=authority))

    async def _shown(self, kind: str) -> list[dict[str, Any]]:
        """What is shown of a kind; nothing where it is not known, as Flux's are not before Flux is there."""
        try:
            return await self._kube.all(kind)
        except NotAnswered as error:
            _say(f"not seen: {error}")
            return []

    async def _inventory(self) -> None:
        nodes, services = await self._kube.all("nodes"), await self._kube.all("services")
        plain = seen.inventory(nodes, services, 0.0).SerializeToString(deterministic=True)
        if self._told.get("inventory") != plain:
            self._tell(inventory=seen.inventory(nodes, services, time.time()))
            self._told["inventory"] = plain

    async def _components(self) -> None:
        found = {_key(one): one for one in await self._kube.all(commands.RELEASE)}
        before: Mapping[str, bytes] | None = self._told.get("releases")
        known = {key: seen.release(one) for key, one in found.items()}
        plain = {key: one.SerializeToString(deterministic=True) for key, one in known.items()}
        changed = [key for key, text in plain.items() if before is None or before.get(key) != text]
        gone = [key.partition("/")[2] for key in (before or {}) if key not in plain]
        if before is None or changed or gone:
            releases = [known[key] for key in changed]
            self._tell(components=pb.AgentComponents(releases=releases, full=before is None, removed=gone))
            self._told["releases"] = plain
        if before is None or changed:
            self._told["probes"] = await probing.known(self._kube)
        for key, one in found.items():
            if seen.is_ready(one):
                await self._probe(key, one)

    async def _probe(self, key: str, release: Mapping[str, Any]) -> None:
        result = await probing.once(self._kube, release, self._told["probes"].get(release["metadata"]["name"], {}))
        if self._told.get(f"probe {key}") != result.SerializeToString():
            self._tell(probe_result=result)
            self._told[f"probe {key}"] = result.SerializeToString()

    async def _renew(self, stub: Any, call: Any) -> None:
        while True:
            await asyncio.sleep(max(1.0, self._me.renew_at - time.time()))
            request = service_pb2.RenewRequest(csr_pem=identity.request_pem(self._folder), server_id=self._me.server_id)
            try:
                answer = await stub.Renew(request, timeout=CALL_LIMIT, metadata=self._bearer)
            except grpc.aio.AioRpcError as error:
                _say(f"not renewed: {error.code().name} {error.details()}")
                call.cancel()  # the next try of the line decides whether the old token still counts
                return
            ends = answer.expire_time.seconds
            self._me = replace(self._me, agent_token=answer.agent_token, renew_at=two_thirds(ends))
            identity.save(self._folder, self._me)

    async def _obey(self, orders: asyncio.Queue[pb.AgentCommand]) -> None:
        """One after the other, beside the stream: some take long, and confirmations have to be heard meanwhile."""
        while True:
            command = await orders.get()
            if command.id > self._memory["command"]:
                await self._receive(command)

    async def _receive(self, command: pb.AgentCommand) -> None:
        told = await commands.obey(command, self._kube, self._machine)
        if told:
            self._tell(**told)
        generation = command.tree.generation if command.WhichOneof("command") == "tree" else 0
        self._remember(command=command.id, generation=generation or self._memory["generation"])
        if command.reconcile.action == pb.AgentCommand.Reconcile.ACTION_RECONCILE:
            self._told.clear()  # it is asked to tell all that is so

    def _tell(self, **report: Any) -> None:
        number = self._outbox.next
        whole = pb.AgentReport(
            seq=number, time=seen.moment(time.time()), cluster=self._me.cluster, server_id=self._me.server_id,
            observed_generation=self._memory["generation"], **report,
        )  # fmt: skip
        self._outbox.add(number, whole.SerializeToString())
        self._news.set()

    def _take_stages(self) -> None:
        for path, stage in stages.waiting(self._folder):
            self._tell(stage=stage)
            path.unlink()

    def _remember(self, **values: int) -> None:
        self._memory |= values
        files.write(self._folder / MEMORY, json.dumps(self._memory))

    @property
    def _bearer(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._me.agent_token}"),)


def _key(raw: Mapping[str, Any]) -> str:
    return f"{raw['metadata']['namespace']}/{raw['metadata']['name']}"


def _say(text: str) -> None:
    print(f"agent: {text}", flush=True)  # noqa: T201 - the service's journal
