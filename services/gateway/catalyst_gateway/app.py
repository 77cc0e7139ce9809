"""The composition root of the gateway."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from catalyst.billing.v1 import service_pb2 as billing
from catalyst.catalog.v1 import service_pb2 as catalog
from catalyst.continuum.v1 import service_pb2 as continuum
from catalyst.environment.v1 import service_pb2 as environment
from catalyst.mesh.v1 import service_pb2 as mesh
from catalyst.pooldomain.v1 import service_pb2 as pooldomain
from catalyst.provisioner.v1 import service_pb2 as provisioner
from catalyst_mesh import (
    Bus,
    ChassisMetrics,
    Daemon,
    Database,
    Leases,
    Memberships,
    PluginHost,
    Sealer,
    Work,
    Worker,
    connect,
    main,
    migrate,
)
from catalyst_mesh.asked_memberships import memberships_of
from catalyst_mesh.trust import verifier
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import CollectorRegistry

from .addresses import Proxies
from .audit import Audit, Trail
from .callers import Callers
from .comparison import Comparison
from .console.frame import Console
from .console.library import Library
from .edge import Edge
from .front import Front
from .http import HttpServer
from .limits import Limits, PerMinute
from .metrics import GatewayMetrics
from .projection import SERVICES, Projector
from .providers import Provider
from .rebuild import Rebuild
from .routes import Routes
from .sessions import Sessions
from .settings import GatewaySettings
from .state import State
from .store import Store, metadata, rules
from .stream import Feed
from .unread import OwnLetters
from .workspaces import Workspaces

PROJECTION_LEASE = timedelta(seconds=4)
"""How long browsers may hear nothing new after the replica died that reads the streams."""
_CONTRACTS = (catalog, provisioner, pooldomain, continuum, billing, environment, mesh)


async def compose(settings: GatewaySettings) -> Daemon:
    """Wire the gateway, or as much of it as the settings say."""
    db = await Database.open(settings.database_url, password_file=settings.database_password_file)
    await migrate(db, "catalyst_gateway", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    bus = Bus(settings.nats_url, "gateway", settings.nats_token.get_secret_value())
    sealer = Sealer.from_file(settings.keyring)
    work = Work(db, Store, metadata=metadata, sealer=sealer)
    memberships = memberships_of(settings, bus)
    measured = GatewayMetrics(metrics.registry)
    serving = _serving(settings, work, bus, sealer, memberships, measured) if settings.serves_http else _Part()
    projecting = _projecting(settings, work, bus, metrics, measured) if settings.projects else _Part()
    return Daemon(
        "gateway",
        settings,
        db,
        metadata,
        work,
        services=(),
        access={},
        metrics=metrics,
        plugins=PluginHost(kinds=(), metrics=metrics),
        bus=bus,
        memberships=memberships,
        workers=[*serving.workers, *projecting.workers],
        checks=serving.checks,
        swept=rules(),
        closing=[*serving.closing, *projecting.closing],
        emits=False,
    )


@dataclass
class _Part:
    """What one of the two things that a gateway does adds to the daemon."""

    workers: list[Worker] = field(default_factory=list)
    checks: dict[str, Callable[[], Awaitable[bool]]] = field(default_factory=dict)
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


def _serving(
    settings: GatewaySettings, work: Work[Store], bus: Bus, sealer: Sealer, memberships: Memberships,
    measured: GatewayMetrics,
) -> _Part:  # fmt: skip
    """Answering requests."""
    channels = {package: connect(settings.target(package), tls=settings.certificates()) for package in SERVICES}
    callers = Callers(verifier("gateway", settings), memberships)
    sessions = Sessions(settings, work=work, sealer=sealer, provider=_provider(settings))
    routes, own = Routes(services()), OwnLetters(bus, work, callers)
    edge = Edge(
        routes=routes,
        channels=channels,
        own=own,
        sessions=sessions,
        callers=callers,
        feed=Feed(work),
        trail=Trail(work),
        state=State(work),
        work=work,
        console=Console(
            routes=routes,
            channels=channels,
            own=own,
            sessions=sessions,
            callers=callers,
            work=work,
            call_seconds=settings.call_seconds,
            library=Library(settings.docs),
        ),
        call_seconds=settings.call_seconds,
        most_body_bytes=settings.most_body_bytes,
    )
    audit = Audit(work)
    front = Front(
        edge.app(),
        Proxies(settings.trusted_proxies),
        Limits(PerMinute(settings.identity_per_minute, settings.address_per_minute, settings.guesses_per_minute)),
        audit,
        edge.recognise,
        settings.cors_origins,
        measured.answered,
    )
    http = HttpServer(front, settings.http_listen, shared=settings.shared_ports)
    part = _Part([http, audit], {"http": http.is_up}, [callers.close])
    part.closing += [partial(channel.close, None) for channel in channels.values()]
    return part


def _provider(settings: GatewaySettings) -> Provider | None:
    """Whom people sign in by; None where the mesh knows no provider."""
    if not settings.oidc_issuer:
        return None
    file = settings.oidc_client_secret_file
    secret = file.read_text().strip() if file else ""
    back = f"{settings.origin}/console/sign-in/back"
    return Provider(
        settings.oidc_issuer, client=settings.oidc_client_id, secret=secret, back=back, ca=settings.oidc_ca_file
    )


def _projecting(
    settings: GatewaySettings, work: Work[Store], bus: Bus, metrics: ChassisMetrics, measured: GatewayMetrics
) -> _Part:
    """Filling the read model."""
    leases = Leases(work.db, metadata, ttl=PROJECTION_LEASE, metrics=metrics)
    # Apart from the callers' channels, whose calls carry the callers' tokens.
    own = {
        package: connect(settings.target(package), token=settings.token_for(package), tls=settings.certificates())
        for package in SERVICES
    }
    return _Part(
        [
            Projector(SERVICES, work=work, bus=bus, leases=leases),
            Workspaces(work=work, bus=bus, leases=leases),
            Comparison(own, work=work, leases=leases, pause=settings.compare_seconds, recovered=measured.recovered.inc),
            Rebuild(work=work, leases=leases),
        ],
        closing=[partial(channel.close, None) for channel in own.values()],
    )


def services() -> Iterator[ServiceDescriptor]:
    """Every service of every contract, in the order in which routes are looked for."""
    for contract in _CONTRACTS:
        yield from contract.DESCRIPTOR.services_by_name.values()


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("gateway", GatewaySettings.load(), compose)


def start_projector() -> None:
    """Run the part of the daemon that fills the read model, with the settings of the environment."""
    settings = GatewaySettings.load()
    main("gateway", settings.model_copy(update={"serves_http": False, "projects": True}), compose)
