"""The composition root of PDM."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any

from catalyst.pooldomain.v1 import service_pb2_grpc
from catalyst_mesh import (
    Bus,
    ChassisMetrics,
    Daemon,
    Database,
    Leases,
    PluginHost,
    Sealer,
    Service,
    Work,
    main,
    migrate,
)
from catalyst_mesh.journal import Engine
from catalyst_mesh.plugins import NoSecrets, SecretFiles, plugin_context
from google.longrunning import operations_pb2_grpc
from prometheus_client import CollectorRegistry
from publicsuffixlist import PublicSuffixList

from .access import ACCESS
from .events import EMITTED
from .handlers import HANDLED
from .metrics import PdmMetrics
from .rpc.allocations import AllocationService
from .rpc.backends import BackendService
from .rpc.delegations import DelegationService, DelegationTools
from .rpc.limits import Limits
from .rpc.operations import OperationService
from .rpc.pools import PoolService
from .rpc.registrar_calls import Registrars
from .rpc.registrars import RegistrarService
from .rpc.results import RESULTS
from .rpc.server_sets import NameServerSetService
from .rpc.zone_life import ZoneTools
from .rpc.zones import ZoneService
from .secrets import PluginSecrets
from .settings import PdmSettings
from .store import Store, metadata
from .workers.abilities import Abilities
from .workers.applying import Applying
from .workers.backends import Backends, Prober
from .workers.certificates import CertificateLogs, IssuanceSearch, NoLogs
from .workers.cuts import Cuts
from .workers.doors import Doors
from .workers.drift import DriftSweep
from .workers.fleet import Fleet
from .workers.flips import Flipping
from .workers.importing import Importing
from .workers.keeper import Keeper
from .workers.late import Late
from .workers.lookout import Lookout
from .workers.members import Members
from .workers.mending import Mending
from .workers.moving import Moving, Pace
from .workers.parents import Parents
from .workers.points import Failpoint, Points, no_failpoint
from .workers.polled import Poll
from .workers.propagation import Propagation
from .workers.reconciler import Reconciler
from .workers.registry import NoRegistry, Rdap
from .workers.returns import Returning
from .workers.rolling import Rolling
from .workers.servers import Servers
from .workers.signals import Signals
from .workers.sweeper import Sweeper
from .workers.watcher import Watcher
from .workers.world import World

_PACKAGE = "catalyst.pooldomain.v1"


@dataclass(frozen=True, slots=True)
class _Parts:
    """What more than one room of PDM is built of."""

    settings: PdmSettings
    work: Work[Store]
    leases: Leases
    host: PluginHost
    secrets: PluginSecrets
    measures: PdmMetrics
    points: Points
    token_key: bytes
    servers: Servers
    world: World
    poll: Poll
    backends: Backends
    doors: Doors
    looks: Cuts
    parents: Parents
    abilities: Abilities


@dataclass(frozen=True, slots=True)
class _Moves:
    """The long work of PDM: runs on the journal."""

    moving: Moving
    flipping: Flipping
    engine: Engine
    late: Late


async def compose(settings: PdmSettings, failpoint: Failpoint = no_failpoint) -> Daemon:
    """Wire PDM. `failpoint` is told each point of the workers; a test kills there."""
    db = await Database.open(settings.database_url, password_file=settings.database_password_file)
    await migrate(db, "catalyst_pool_domain_manager", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    parts = _parts(settings, db, metrics, Points(failpoint))
    moves = _moves(parts, db)
    reconciler = Reconciler(
        parts.work,
        parts.leases,
        parts.backends,
        parts.servers,
        parts.parents,
        parts.abilities,
        parts.poll,
        parts.points,
        settings.drift_interval,
        parts.measures.step,
    )  # fmt: skip - in the order of the fields
    return Daemon(
        "pooldomain",
        settings,
        db,
        metadata,
        parts.work,
        services=[*_names(parts, reconciler), *_zones(parts, moves), *_registrars(parts, moves)],
        access=ACCESS,
        metrics=metrics,
        plugins=parts.host,
        bus=Bus(settings.nats_url, "pooldomain", settings.nats_token.get_secret_value()),
        handled=HANDLED,
        workers=[reconciler, *_workers(parts, moves)],
        armable=[parts.points],
    )


def _parts(settings: PdmSettings, db: Database, metrics: ChassisMetrics, points: Points) -> _Parts:
    key_file = settings.keyring
    sealer = Sealer.from_file(key_file)
    work = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer)
    host = PluginHost(kinds=["dns_backend", "registrar"], metrics=metrics)
    files = SecretFiles(settings.secrets_folder) if settings.secrets_folder else NoSecrets()
    secrets = PluginSecrets(work, sealer, files)
    host.load(plugin_context(settings.data_folder, secrets), {**_built_in(settings), **settings.plugins})
    measures, servers, poll = PdmMetrics(metrics.registry), Servers(settings.dns_hints), Poll(settings.dns_hints)
    backends = Backends(work, host)
    return _Parts(
        settings=settings,
        work=work,
        leases=Leases(db, metadata, ttl=timedelta(seconds=settings.lease), metrics=metrics),
        host=host,
        secrets=secrets,
        measures=measures,
        points=points,
        token_key=hashlib.sha256(b"reservation tokens" + key_file.read_bytes()).digest(),
        servers=servers,
        world=World(backends, servers, settings.resolvers, _logs(settings)),
        poll=poll,
        backends=backends,
        doors=Doors(work, host),
        looks=Cuts(settings.dns_hints, poll),
        parents=Parents(settings.batch_window, measures.batch_size.set),
        abilities=Abilities(backends),
    )


def _moves(p: _Parts, db: Database) -> _Moves:
    applying = Applying(p.work, p.backends)
    importing = Importing(p.work, p.host, p.poll, p.secrets, p.doors)
    moving = Moving(p.work, p.backends, p.poll, p.looks, p.doors, _pace(p.settings), p.points, p.measures.step)
    lookout = Lookout(p.looks, p.settings.resolvers)
    flipping, returning = Flipping(moving, lookout), Returning(moving)
    rolling = Rolling(p.work, p.backends, p.poll, p.parents, p.looks, p.doors, p.points)
    kinds = (applying.kind, importing.kind, flipping.kind, returning.kind, *rolling.kinds)
    engine = Engine(db, kinds=kinds, replica="pooldomain", bell=p.work.bell)
    rolling.attach(engine)
    flipping.engine = returning.engine = engine
    return _Moves(moving, flipping, engine, Late(p.work, flipping))


def _workers(p: _Parts, moves: _Moves) -> list[Any]:
    """What works in the background, beside the reconciler of names."""
    every = p.settings.drift_interval
    return [
        Sweeper(p.work, p.leases, p.backends, p.settings.sweep_interval, counted=p.measures.names),
        Watcher(p.work, p.leases, p.backends, p.servers, p.world, p.poll, every),
        Members(p.work, p.leases, p.abilities),
        Keeper(p.work, p.leases, p.backends, p.poll, p.host, p.points),
        Prober(p.work, p.leases, p.backends),
        DriftSweep(
            p.work,
            p.leases,
            Fleet(p.work, p.backends, p.poll),
            Mending(p.work, p.backends, moves.engine, moves.late),
            p.looks,
            every,
            p.measures,
            Signals(p.work, p.backends),
        ),
        moves.engine,
    ]


def _names(p: _Parts, reconciler: Reconciler) -> list[Service]:
    settings, limits = p.settings, Limits(p.settings.replicas)
    allocations = AllocationService(
        p.work,
        p.token_key,
        limits,
        p.world.resolves,
        p.abilities.of,
        reconciler.bells,
        timedelta(seconds=settings.force_release_grace),
    )  # fmt: skip - in the order of the fields
    return [
        Service(
            PoolService(p.work, (settings.reservation_ttl, settings.quarantine), settings.least_ttl),
            service_pb2_grpc.add_PoolServiceServicer_to_server,
            f"{_PACKAGE}.PoolService",
        ),
        Service(
            allocations,
            service_pb2_grpc.add_AllocationServiceServicer_to_server,
            f"{_PACKAGE}.AllocationService",
        ),
    ]


def _zones(p: _Parts, moves: _Moves) -> list[Service]:
    settings = p.settings
    propagation = Propagation(settings.dns_hints, settings.dns_trust_anchor, settings.resolvers)
    tools = ZoneTools(p.work, p.backends, p.poll, moves.engine, propagation, p.looks, moves.late, is_public_suffix)
    return [
        Service(ZoneService(tools), service_pb2_grpc.add_ZoneServiceServicer_to_server, f"{_PACKAGE}.ZoneService"),
        Service(
            OperationService(p.work, moves.engine, RESULTS),
            operations_pb2_grpc.add_OperationsServicer_to_server,
            "google.longrunning.Operations",
        ),
        Service(
            BackendService(p.work, p.backends),
            service_pb2_grpc.add_BackendServiceServicer_to_server,
            f"{_PACKAGE}.BackendService",
        ),
        Service(
            NameServerSetService(p.work),
            service_pb2_grpc.add_NameServerSetServiceServicer_to_server,
            f"{_PACKAGE}.NameServerSetService",
        ),
    ]


def _registrars(p: _Parts, moves: _Moves) -> list[Service]:
    asked = Registrars(p.host, p.measures)
    registry = Rdap(p.settings.rdap_url) if p.settings.rdap_url else NoRegistry()
    tools = DelegationTools(
        p.work, moves.moving, moves.flipping, moves.engine, asked, registry, _private_suffix, p.token_key
    )
    return [
        Service(
            DelegationService(tools),
            service_pb2_grpc.add_DelegationServiceServicer_to_server,
            f"{_PACKAGE}.DelegationService",
        ),
        Service(
            RegistrarService(p.work, asked, p.secrets, egress_ip=p.settings.egress_ip, is_suffix=is_public_suffix),
            service_pb2_grpc.add_RegistrarServiceServicer_to_server,
            f"{_PACKAGE}.RegistrarService",
        ),
    ]


def _logs(settings: PdmSettings) -> CertificateLogs:
    url = settings.certificate_logs_url
    return IssuanceSearch(url, settings.certificate_logs_token_file) if url else NoLogs()


def _pace(settings: PdmSettings) -> Pace:
    return Pace(
        probe=timedelta(seconds=settings.flip_probe),
        registrar=timedelta(seconds=settings.registrar_poll),
        watch=timedelta(seconds=settings.flip_watch),
        ttl=settings.flip_ttl,
    )


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _private_suffix(domain: str) -> str | None:
    """What somebody registers of `domain`; None for a public suffix."""
    found: str | None = _suffixes().privatesuffix(domain)
    return found


def is_public_suffix(domain: str) -> bool:
    """Whether nobody can register `domain` itself. The list is read at the first question."""
    return bool(_suffixes().publicsuffix(domain) == domain)


def _built_in(settings: PdmSettings) -> Mapping[str, Mapping[str, Any]]:
    """What follows from the settings for plugins that nobody configures by themselves."""
    found: dict[str, Mapping[str, Any]] = {}
    if settings.dns_control:
        found["dns_backend:dns_embedded"] = {"control": settings.dns_control, "data": str(settings.dns_data)}
    if settings.dns_hints is not None:
        found["registrar:manual"] = {"hints": str(settings.dns_hints)}
    return found


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("pooldomain", PdmSettings.load(), compose)
