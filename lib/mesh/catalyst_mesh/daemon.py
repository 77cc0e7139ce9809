"""The life of a daemon: start, serve, drain, stop.

Stopping says NOT_SERVING first, waits until peers have noticed, sends away who comes nevertheless, lets calls in flight
end, then stops the workers (which give their leases back) and closes what it opened. It ends within 25 s of SIGTERM.
"""

import asyncio
import errno
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Protocol, runtime_checkable

import grpc
import uvloop
from catalyst.mesh.v1 import service_pb2, service_pb2_grpc
from google.protobuf.internal import api_implementation
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from sqlalchemy import MetaData

from .access import SIGNED_IN, Access, Row, rows
from .asked_memberships import AskedMemberships, memberships_of
from .bus import Bus
from .bus_reports import BusReports
from .client import PING_MS
from .consumer import ACK_WAIT, BACK_OFF, Consumer, consumers
from .database import Database
from .event_service import ADMIN_ONLY, READERS, EventService
from .facts import Handled, stream_of
from .failpoints import Failpoints
from .health import Health
from .interceptor import Interceptor
from .leases import Leases
from .logs import configure, get_logger
from .memberships import Memberships
from .metrics import ChassisMetrics
from .plugins import PluginHost
from .relay import Relay
from .replays import Replays
from .reports import PluginService
from .resealing import KeysInUse, Resealer, remove_free, usage
from .retention import Rule, Sweeper
from .ringer import Ringer
from .sealing import rotate
from .settings import DaemonSettings
from .sideport import Check, SidePort
from .telemetry import Telemetry, Tracer, belong
from .tls import server_credentials
from .trust import verifier
from .verifiers import Verifier
from .waits import rest
from .work import Work

_EVENT_SERVICE = "catalyst.mesh.v1.EventService"
KEY_WISHES = ("--keys", "--rotate-key", "--remove-keys")
"""Words on the command line of a daemon about its keyring: tell, add a key, take away the keys that nothing needs."""
MIGRATE = "--migrate"
"""Word on the command line of a daemon that is only to bring its schema up to date, as it does at each start."""
OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_connection_age_ms", 30 * 60 * 1000),
    ("grpc.max_connection_age_grace_ms", 30 * 1000),
    # gRPC's own limit is five minutes; a client that asks as often as ours was once cut off (ENHANCE_YOUR_CALM). Agents of
    # Sovereigns ask twice as often.
    ("grpc.http2.min_ping_interval_without_data_ms", PING_MS // 3),
)
"""What each server is told. gRPC passes over a name that it does not know without a word."""
GRACE = 15.0
"""Seconds that calls in flight get to end."""
LEAVING = 0.3
"""Seconds in which new calls are sent away before the server ends: until nothing is left that gRPC has not looked at."""
STREAMS_GRACE = 3.0
"""Seconds of the above that streams get: most are watched until somebody ends them."""
LONG_LIFE = 60.0
"""Seconds after which a worker that ends is started again at once."""
WORKERS_GRACE = 5.0
"""Seconds that workers get to put down what they hold, when all calls have ended."""
WORKERS_END = 22.5
"""Seconds after SIGTERM at which they must have done so in any case: they have been told at its beginning."""
CANCEL_GRACE = 1.0
"""Seconds that those get whose time is over and who were cancelled."""
LAST_GRACE = 3.0
"""Seconds that a process gets to end of itself once its daemon has ended, in whatever way."""


class Worker(Protocol):
    """Background work: runs until `stop` is set, then puts down what it holds."""

    async def run(self, stop: asyncio.Event) -> None: ...


@runtime_checkable
class Armable(Protocol):
    """A worker or another part with failpoints of its own, such as the journal's engine."""

    def arm(self, failpoints: Failpoints) -> None: ...


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer and the generated function that adds it to a server."""

    servicer: Any
    add: Callable[[Any, grpc.aio.Server], None]
    name: str
    """Full name, `catalyst.billing.v1.OrderService`."""


@dataclass
class Daemon:
    """Everything that `app.py` wired."""

    name: str
    """Short name of contracts, subjects and streams: `pooldomain`."""
    settings: DaemonSettings
    db: Database
    metadata: MetaData
    work: Work[Any]
    services: Sequence[Service]
    access: Mapping[str, Row]
    metrics: ChassisMetrics
    plugins: PluginHost
    bus: Bus
    handled: Sequence[Handled] = ()
    workers: Sequence[Worker] = ()
    checks: Mapping[str, Check] = field(default_factory=dict)
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    """Awaited last: channels, engines, HTTP clients."""
    also_trusts: Sequence[Verifier] = ()
    """Further issuers whose tokens are taken: such as are the daemon's own, for example one for agents."""
    memberships: Memberships | None = None
    """Who says which Organizations a person belongs to; None: as the settings say."""
    swept: Sequence[Rule] = ()
    """Rows of its own that grow old, beside the chassis'."""
    armable: Sequence[Armable] = ()
    """Parts with failpoints that are no workers by themselves."""
    emits: bool = True
    tracer: Tracer | None = None
    """Makes the spans; None: one as the settings say, which by default is none."""
    failpoints: Failpoints | None = None
    """Where tests have this process end; see `arm`."""

    def arm(self, failpoints: Failpoints | None) -> None:
        """Hand `failpoints` to all parts that have such points; before `run`."""
        self.failpoints = self.work.failpoints = failpoints
        for part in (*self.workers, *self.armable):
            if failpoints and isinstance(part, Armable):
                part.arm(failpoints)

    back_off: Sequence[float] = BACK_OFF
    """Seconds between the tries of an event that fails."""
    ack_wait: float = ACK_WAIT
    """Seconds after which an event that a dead replica held goes to another."""

    async def run(self, *, started: asyncio.Event | None = None, stop: asyncio.Event | None = None) -> None:
        """Serve until SIGTERM, SIGINT or `stop`."""
        stop = stop or _stop_on_signals()
        log = get_logger("daemon")
        self.tracer = self.tracer or _tracer(self.name, self.settings)
        belong(Telemetry(self.metrics, self.tracer))  # before any task: what they do is told here
        self._measure()
        self.work.bell.patience = self.settings.poll_seconds
        trusted = verifier(self.name, self.settings, self.also_trusts)
        consuming = self._consumers()
        memberships = self.memberships or memberships_of(self.settings, self.bus)
        asking = [memberships] if isinstance(memberships, AskedMemberships) else []
        door = Interceptor(verifier=trusted, access=self._access(), metrics=self.metrics, memberships=memberships)
        server, peers = self._server(door, consuming)
        port = self._add_port(server)
        side = SidePort(
            self.metrics.registry,
            {"database": self._database_answers, **self.checks},
            {"nats": self._nats_answers, "plugins": self._plugins_work},
        )
        tasks = [
            asyncio.create_task(self._supervise(worker, stop), name=type(worker).__name__)
            for worker in (*self._all_workers(consuming), *asking, peers)
        ]
        drain = 0.0
        try:
            await server.start()
            side_port = await side.start(self.settings.side_listen)
            self.ports = (port, side_port)
            log.info("serving", port=port, side_port=side_port, database=self.db.dialect)
            if started is not None:
                started.set()
            await stop.wait()
            drain = self.settings.drain_seconds
        finally:  # who could not start has workers too, which must put down what they hold
            stop.set()
            await self._stop(server, door, peers, side, tasks, drain)
            await trusted.close()
            for one in asking:
                await one.close()
        log.info("stopped")

    ports: tuple[int, int] = (0, 0)
    """gRPC and side port, once it runs."""

    def _access(self) -> Access:
        own = {
            **rows("catalyst.mesh.v1.PluginService", ListPlugins=SIGNED_IN),
            **rows(_EVENT_SERVICE, ListEvents=READERS, **dict.fromkeys(ADMIN_ONLY, "sovereign-admin")),
        }
        return Access({**own, **self.access})

    def _server(self, door: Interceptor, consuming: Sequence[Consumer]) -> tuple[grpc.aio.Server, Health]:
        server = grpc.aio.server(
            interceptors=[door],
            options=OPTIONS,
        )
        plugin_service = "catalyst.mesh.v1.PluginService"
        services = [
            *self.services,
            Service(
                PluginService(self.name, self.plugins),
                service_pb2_grpc.add_PluginServiceServicer_to_server,
                plugin_service,
            ),
            Service(
                self._event_service(consuming), service_pb2_grpc.add_EventServiceServicer_to_server, _EVENT_SERVICE
            ),
        ]
        for service in services:
            service.add(service.servicer, server)
        names = [service.name for service in services]
        # Not what else /readyz waits for: a catalogue that is still being read leaves many calls that are answered.
        peers = Health(names, {"database": self._database_answers})
        health_pb2_grpc.add_HealthServicer_to_server(peers, server)
        assert service_pb2  # its descriptors are what reflection answers with
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
        return server, peers

    def _add_port(self, server: grpc.aio.Server) -> int:
        certificates, settings = self.settings.certificates(), self.settings
        if certificates is None or not certificates.shows_certificate:
            return server.add_insecure_port(settings.listen)
        credentials = server_credentials(certificates, require_client=settings.tls_require_client)
        return server.add_secure_port(settings.listen, credentials)

    def _measure(self) -> None:
        self.metrics.build.labels(self.name, version("catalyst-mesh")).set(1)
        self.metrics.db_pool.set_function(self.db.in_use)

    def _event_service(self, consuming: Sequence[Consumer]) -> EventService:
        reports = BusReports(
            self.name, bus=self.bus, db=self.db, metadata=self.metadata,
            streams=[stream_of(self.name)] if self.emits else [],
            consumers=[(consumer.name, consumer.stream) for consumer in consuming],
            monitor_url=self.settings.nats_monitor_url,
        )  # fmt: skip
        replays = Replays(self.db, self.metadata)
        return EventService(
            self.name, bus=self.bus, replays=replays, consumers=consuming, reports=reports, wake=self.work.committed
        )

    def _consumers(self) -> list[Consumer]:
        return consumers(
            self.name, self.handled, work=self.work, metadata=self.metadata, bus=self.bus, metrics=self.metrics,
            back_off=self.back_off, ack_wait=self.ack_wait, failpoints=self.failpoints,
        )  # fmt: skip

    def _all_workers(self, consuming: Sequence[Consumer]) -> list[Worker]:
        leases = Leases(self.db, self.metadata)
        relay = Relay(
            self.name, db=self.db, metadata=self.metadata, bus=self.bus, leases=leases, wake=self.work.committed,
            metrics=self.metrics, failpoints=self.failpoints, poll=self.settings.poll_seconds,
        )  # fmt: skip
        return [
            *([relay] if self.emits else []),
            Ringer(self.name, self.work.bell, self.bus),
            *consuming,
            *self.workers,
            Sweeper(self.db, self.metadata, leases, also=self.swept),
            *([Resealer(self.db, self.metadata, sealer, leases)] if (sealer := self.work.sealer) else []),
            _LoopLag(self.metrics),
        ]

    async def _supervise(self, worker: Worker, stop: asyncio.Event) -> None:
        """Run a worker again when a bug ends it, later each time; it must not take the daemon along."""
        pause = 0.2
        while not stop.is_set():
            began = time.monotonic()
            try:
                await worker.run(stop)
            except Exception as error:
                get_logger("daemon").error("worker failed", worker=type(worker).__name__, exc_info=error)
            await rest(stop, pause)
            # What ended after a long life did not end of what ended it the last time.
            pause = min(pause * 2, 30) if time.monotonic() - began < LONG_LIFE else 0.2

    async def _database_answers(self) -> bool:
        await self.db.ping()
        return True

    async def _nats_answers(self) -> bool:
        return self.bus.is_connected or await self.bus.answers()

    async def _plugins_work(self) -> bool:
        return not any(plugin.failure for plugin in self.plugins.plugins)

    async def _stop(
        self,
        server: grpc.aio.Server,
        door: Interceptor,
        peers: Health,
        side: SidePort,
        tasks: list[asyncio.Task[None]],
        drain: float,
    ) -> None:
        began = time.monotonic()
        side.draining = True
        peers.drain()
        await asyncio.sleep(drain)
        peers.end()
        if drain:
            door.leave()
            await asyncio.sleep(LEAVING)
        streams = asyncio.get_running_loop().call_later(STREAMS_GRACE, door.end_streams)
        await server.stop(GRACE)
        streams.cancel()
        await _ended(tasks, min(WORKERS_GRACE, max(CANCEL_GRACE, began + WORKERS_END - time.monotonic())))
        await side.stop()
        await self.bus.close()
        for close in self.closing:
            await close()
        await self.db.close()
        if self.tracer is not None:
            await asyncio.to_thread(self.tracer.close)


async def _ended(tasks: Iterable[asyncio.Task[None]], grace: float) -> None:
    """Wait `grace` seconds for workers. Who does not heed its cancellation either is told of, and left to the process' end."""
    _, late = await asyncio.wait(tasks, timeout=grace)
    for task in late:
        task.cancel()
    stuck = (await asyncio.wait(late, timeout=CANCEL_GRACE))[1] if late else ()
    for task in stuck:
        get_logger("daemon").error("worker does not end", worker=task.get_name())


class _LoopLag:
    """Measures how late the event loop wakes; a blocked loop shows here first."""

    def __init__(self, metrics: ChassisMetrics) -> None:
        self._metrics = metrics

    async def run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            began = time.monotonic()
            await rest(stop, 1.0)
            self._metrics.loop_lag.set(max(0.0, time.monotonic() - began - 1.0))


def _tracer(name: str, settings: DaemonSettings) -> Tracer | None:
    if not settings.otlp_endpoint:
        return None
    from .otlp import to_collector  # here, so that who sends no spans does not carry the SDK

    return to_collector(name, settings.otlp_endpoint, settings.trace_ratio)


def main(name: str, settings: DaemonSettings, compose: Callable[[Any], Awaitable[Daemon]]) -> None:
    """What each `__main__` comes to: set up the log, wire, run."""
    configure(name, settings.log_level, settings.sovereign)
    if api_implementation.Type() != "upb":
        raise SystemExit("protobuf runs without its compiled part (upb), 50 times slower: reinstall protobuf")
    failpoints = Failpoints.load(os.environ)
    settings.data_folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def run() -> None:
        daemon = await compose(settings)
        if wish := next((word for word in sys.argv[1:] if word in KEY_WISHES), None):
            await _keys(daemon, wish)
            return
        if MIGRATE in sys.argv[1:]:  # composing it has done that
            await _put_away(daemon)
            return
        daemon.arm(failpoints)
        try:
            await daemon.run()
        finally:
            _end_soon()

    uvloop.run(run())


def _end_soon() -> None:
    """End the process even where a task or a thread that nobody can end holds up the loop's own end."""
    last = threading.Timer(LAST_GRACE, os._exit, [1])
    last.daemon = True
    last.start()


async def _keys(daemon: Daemon, wish: str) -> None:
    """What is wished of the keyring, and how it stands then. Ends the process with a sentence where it cannot be."""
    sealer = daemon.work.sealer
    if sealer is None:
        raise SystemExit(f"{daemon.name} seals nothing")
    try:
        if wish == "--rotate-key":
            rotate(sealer.path)
        if wish == "--remove-keys":
            await remove_free(daemon.db, daemon.metadata, sealer)
        print(await usage(daemon.db, daemon.metadata, sealer))  # noqa: T201 - this is what was asked for
    except KeysInUse as error:
        raise SystemExit(str(error)) from None
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES):  # as a Secret is mounted
            raise
        raise SystemExit(f"{error.filename} cannot be written: change the keyring where it is kept") from None
    finally:
        await _put_away(daemon)


async def _put_away(daemon: Daemon) -> None:
    """Close what was opened for a daemon that did not run."""
    for close in daemon.closing:
        await close()
    await daemon.db.close()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
