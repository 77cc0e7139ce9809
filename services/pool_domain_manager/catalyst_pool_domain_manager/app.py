"""The composition root of PDM."""

import hashlib
from collections.abc import Mapping
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
from .workers.above import Above
from .workers.applying import Applying
from .workers.backends import Backends, Prober
from .workers.cuts import Cuts
from .workers.doors import Doors
from .workers.drift import DriftSweep
from .workers.flips import Flipping
from .workers.importing import Importing
from .workers.keeper import Keeper
from .workers.members import Members
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
from .workers.sweeper import Sweeper
from .workers.watcher import Watcher
from .workers.world import World

_PACKAGE = "catalyst.pooldomain.v1"


async def compose(settings: PdmSettings, failpoint: Failpoint = no_failpoint) -> Daemon:
    """Wire PDM. `failpoint` is told each point of the workers; a test kills there."""
    points = Points(failpoint)
    db = await Database.open(settings.database_url, password_file=settings.database_password_file)
    await migrate(db, "catalyst_pool_domain_manager", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    key_file = settings.data_folder / "seal.key"
    sealer = Sealer.from_file(key_file)
    work = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer)
    token_key = hashlib.sha256(b"reservation tokens" + key_file.read_bytes()).digest()
    host = PluginHost(kinds=["dns_backend", "registrar"], metrics=metrics)
    files = SecretFiles(settings.secrets_folder) if settings.secrets_folder else NoSecrets()
    secrets = PluginSecrets(work, sealer, files)
    host.load(plugin_context(settings.data_folder, secrets), {**_built_in(settings), **settings.plugins})
    leases, measures = Leases(db, metadata, metrics=metrics), PdmMetrics(metrics.registry)
    servers, every = Servers(settings.dns_hints), settings.drift_interval
    world = World(host, servers, settings.resolvers)
    abilities, parents = Abilities(host), Parents(settings.batch_window, measures.batch_size.set)
    poll = Poll(settings.dns_hints)
    reconciler = Reconciler(work, leases, host, servers, parents, abilities, poll, points, every, measures.step)
    members = Members(work, leases, abilities)
    watcher = Watcher(work, leases, host, servers, world, poll, every)
    backends = Backends(work, host)
    keeper = Keeper(work, leases, backends, poll, host, points)
    applying = Applying(work, backends)
    doors, looks = Doors(work, host), Cuts(settings.dns_hints, poll)
    importing = Importing(work, host, poll, secrets, doors)
    moving = Moving(
        work,
        backends,
        poll,
        looks,
        doors,
        _pace(settings),
        points,
        measures.step,
    )  # fmt: skip - the tools of a move
    flipping, returning = Flipping(moving), Returning(moving)
    above = Above(settings.dns_hints)
    rolling = Rolling(work, backends, poll, host, parents, above, doors, points)
    kinds = (applying.kind, importing.kind, flipping.kind, returning.kind, *rolling.kinds)
    engine = Engine(db, kinds=kinds, replica="pooldomain", bell=work.bell)
    rolling.attach(engine)
    flipping.engine = returning.engine = engine
    drift = DriftSweep(work, leases, backends, poll, looks, engine, settings.drift_interval, measures)
    propagation = Propagation(settings.dns_hints, settings.dns_trust_anchor, settings.resolvers)
    tools = ZoneTools(work, backends, poll, engine, propagation, above)
    asked = Registrars(host, measures)
    registrars = RegistrarService(
        work,
        asked,
        secrets,
        egress_ip=settings.egress_ip,
        is_suffix=is_public_suffix,
    )
    cuts = DelegationService(
        DelegationTools(
            work,
            moving,
            flipping,
            engine,
            asked,
            Rdap(settings.rdap_url) if settings.rdap_url else NoRegistry(),
            _private_suffix,
            token_key,
        )
    )  # fmt: skip - its tools
    sweeper = Sweeper(work, leases, host, settings.sweep_interval, counted=measures.names)
    return Daemon(
        "pooldomain",
        settings,
        db,
        metadata,
        work,
        services=[
            Service(
                PoolService(work, (settings.reservation_ttl, settings.quarantine)),
                service_pb2_grpc.add_PoolServiceServicer_to_server,
                f"{_PACKAGE}.PoolService",
            ),
            Service(
                AllocationService(
                    work,
                    token_key,
                    Limits(settings.replicas),
                    world.resolves,
                    abilities.of,
                    reconciler.bells,
                ),
                service_pb2_grpc.add_AllocationServiceServicer_to_server,
                f"{_PACKAGE}.AllocationService",
            ),
            Service(ZoneService(tools), service_pb2_grpc.add_ZoneServiceServicer_to_server, f"{_PACKAGE}.ZoneService"),
            Service(
                OperationService(work, engine, RESULTS),
                operations_pb2_grpc.add_OperationsServicer_to_server,
                "google.longrunning.Operations",
            ),
            Service(
                cuts,
                service_pb2_grpc.add_DelegationServiceServicer_to_server,
                f"{_PACKAGE}.DelegationService",
            ),
            Service(
                BackendService(work, backends),
                service_pb2_grpc.add_BackendServiceServicer_to_server,
                f"{_PACKAGE}.BackendService",
            ),
            Service(
                NameServerSetService(work),
                service_pb2_grpc.add_NameServerSetServiceServicer_to_server,
                f"{_PACKAGE}.NameServerSetService",
            ),
            Service(
                registrars,
                service_pb2_grpc.add_RegistrarServiceServicer_to_server,
                f"{_PACKAGE}.RegistrarService",
            ),
        ],
        access=ACCESS,
        metrics=metrics,
        plugins=host,
        bus=Bus(settings.nats_url, "pooldomain", settings.nats_token.get_secret_value()),
        handled=HANDLED,
        workers=[reconciler, sweeper, watcher, members, keeper, Prober(work, leases, backends), drift, engine],
        armable=[points],
    )


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
