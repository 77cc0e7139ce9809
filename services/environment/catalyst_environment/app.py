"""The composition root of the daemon of Organizations, Environments and Applications."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid4

from catalyst.environment.v1 import service_pb2_grpc
from catalyst_mesh import (
    Bus,
    ChassisMetrics,
    Clock,
    Daemon,
    Database,
    Leases,
    OperationService,
    PluginHost,
    Sealer,
    Service,
    SystemClock,
    Work,
    Worker,
    connect,
    main,
    migrate,
)
from catalyst_mesh.journal import Backoff, Engine, Kind
from catalyst_mesh.trust import verifier
from google.longrunning import operations_pb2_grpc
from prometheus_client import CollectorRegistry

from .access import ACCESS
from .adopting import Adopting
from .catalog import Catalog
from .chronicle import Chronicle
from .clusters import Clusters
from .data import reserved
from .events import EMITTED
from .githttp import Door, GitServer
from .installing import Installing
from .logins import Logins
from .metrics import EnvironmentMetrics
from .ownership import OwnMemberships
from .parts import EVENT_BUS, IDENTITY, VCLUSTER, BillingAccount, GitHome, Part
from .plans import HANDLED
from .promoting import Promoting
from .repositories import Repositories
from .rpc.applications import ApplicationService
from .rpc.environments import EnvironmentService
from .rpc.members import MemberService
from .rpc.operations import Operations, OperationsOfRuns
from .rpc.organizations import OrganizationService
from .rpc.policies import PolicyService
from .rpc.webhooks import WebhookService
from .sending import Sender
from .settings import EnvironmentSettings
from .steps import CHANGE, CREATE, DELETE, INSTALL, PROMOTE, UNINSTALL, Applications, Organizations
from .store import Store, metadata, rules
from .workers.courier import Courier
from .workers.deliverer import Deliverer
from .workers.fitter import Fitter
from .workers.gazette import Gazette
from .workers.herald import Herald
from .workers.promoter import Promoter
from .workers.publisher import Publisher

PACKAGE = "catalyst.environment.v1"
RESTS = Backoff(first=timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class _Common:
    """What several parts of the daemon are made of."""

    settings: EnvironmentSettings
    work: Work[Store]
    engine: Engine
    leases: Leases
    clock: Clock
    sealer: Sealer
    sender: Sender
    repositories: Repositories
    logins: Logins
    memberships: OwnMemberships
    catalog: Catalog
    installing: Installing
    promoting: Promoting


class _Delivering(NamedTuple):
    """The worker, and what is closed behind it."""

    workers: Sequence[Worker]
    closing: Sequence[Callable[[], Awaitable[None]]]


async def compose(
    settings: EnvironmentSettings, *, hook: Callable[[str], None] = lambda point: None, clock: Clock | None = None,
    also: Sequence[Part] = (IDENTITY, EVENT_BUS, VCLUSTER), rests: Backoff = RESTS, sender: Sender | None = None,
) -> Daemon:  # fmt: skip
    """Wire the daemon.

    hook   the journal's, for tests that crash it
    clock  is for tests; None: the moment comes from the database, and runs wait by this machine's
    also   parts of an Organization beside its account and its Git home
    sender of webhooks, for tests that resolve names by themselves
    """
    db = await Database.open(settings.database_url, clock=clock, password_file=settings.database_password_file)
    clock = clock or SystemClock()
    await migrate(db, "catalyst_environment", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    sealer = Sealer.from_file(settings.keyring)
    work = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer)
    billing = connect(settings.billing_target, token=settings.token_for("billing"), tls=settings.certificates())
    catalog = connect(settings.catalog_target, token=settings.token_for("catalog"), tls=settings.certificates())
    folder = settings.git_folder or settings.data_folder / "git"
    repositories = Repositories(folder)
    parts: tuple[Part, ...] = (BillingAccount(billing), GitHome(repositories, clock), *also)
    engine = Engine(
        db,
        kinds=_kinds(Organizations(work, parts, rests), Applications(work, repositories, rests), Chronicle(db, work)),
        clock=clock,
        replica="environment",
        lease=timedelta(seconds=settings.lease_ttl),
        hook=hook,
        bell=work.bell,
    )  # fmt: skip - one call
    common = _Common(
        settings,
        work,
        engine,
        Leases(db, metadata, metrics=metrics),
        clock,
        sealer,
        sender or Sender(allow_private=settings.allow_private_webhooks, own_networks=settings.own_networks),
        repositories,
        Logins.of(folder),
        OwnMemberships(work),
        Catalog(catalog),
        Installing(engine, clock),
        Promoting(engine, clock, lambda: str(uuid4())),
    )
    bus = Bus(settings.nats_url, "environment", settings.nats_token.get_secret_value())
    git = _git(common)
    delivering = _delivering(common, git, EnvironmentMetrics(metrics.registry))
    services = _services(common)
    return Daemon(
        "environment",
        settings,
        db,
        metadata,
        work,
        services=services,
        access=ACCESS,
        metrics=metrics,
        plugins=PluginHost(kinds=(), metrics=metrics),
        bus=bus,
        handled=HANDLED,
        workers=[*_workers(common, bus), *git, *delivering.workers, *_controllers(common, services)],
        swept=rules(),
        closing=[
            lambda: billing.close(None),
            lambda: catalog.close(None),
            common.sender.close,
            *(one.close for one in git),
            *delivering.closing,
        ],
        memberships=common.memberships,
    )


def _workers(c: _Common, bus: Bus) -> list[Worker]:
    """What goes on beside the calls, whatever is set."""
    adopting = Adopting(c.work, c.engine, c.catalog, c.repositories, c.clock)
    return [
        c.engine,
        Promoter(
            c.work,
            c.engine,
            c.leases,
            c.promoting,
            c.repositories,
            adopting,
            c.clock,
            pause=c.settings.promotion_pause,
        ),
        Publisher(c.work, c.leases, c.repositories, c.clock, pause=c.settings.promotion_pause),
        Herald(c.work, bus, c.leases),
        Courier(c.work, c.leases, c.sender, c.sealer),
        Gazette(c.work, bus, c.leases),
        Fitter(c.work, c.leases, c.catalog, c.installing),
    ]  # fmt: skip - reads as a table


def _git(c: _Common) -> list[GitServer]:
    """Who serves the repositories, where anybody is to."""
    if not c.settings.repositories_listen:
        return []
    door = Door(verifier("environment", c.settings), c.memberships, c.work, c.logins)
    return [GitServer(c.settings.repositories_listen, c.repositories, door, shared=c.settings.shared_ports)]


def _delivering(c: _Common, git: Sequence[GitServer], metrics: EnvironmentMetrics) -> _Delivering:
    """Who brings Applications to clusters, where there are any and somebody serves what they pull."""
    settings = c.settings
    base = settings.repositories_url or next((f"http://{one.address}" for one in git), "")
    if not settings.provisioner_target or not base:
        return _Delivering((), ())
    channel = connect(settings.provisioner_target, token=settings.token_for("provisioner"), tls=settings.certificates())
    deliverer = Deliverer(
        c.work, c.leases, Clusters(channel), c.logins, lambda path: f"{base}/{path}",
        metrics=metrics, pause=settings.delivery_pause,
    )  # fmt: skip
    return _Delivering((deliverer,), (lambda: channel.close(None),))


def _kinds(organizations: Organizations, applications: Applications, chronicle: Chronicle) -> tuple[Kind, ...]:
    """What runs there are; of each transition the chronicle writes down what people see."""
    makers = (
        (CREATE, organizations.create),
        (DELETE, organizations.delete),
        (INSTALL, applications.write),
        (CHANGE, applications.write),
        (UNINSTALL, applications.remove),
        (PROMOTE, applications.promote),
    )
    return tuple(Kind(name, maker, chronicle.transition) for name, maker in makers)


def _services(c: _Common) -> list[Service]:
    """What is served."""
    grace, runs, add = timedelta(seconds=c.settings.grace_seconds), OperationsOfRuns(c.work, c.engine), service_pb2_grpc
    own: tuple[tuple[str, Any, Any], ...] = (
        (
            "OrganizationService",
            OrganizationService(c.work, c.engine, reserved(), c.clock, grace=grace),
            add.add_OrganizationServiceServicer_to_server,
        ),
        ("MemberService", MemberService(c.work), add.add_MemberServiceServicer_to_server),
        ("EnvironmentService", EnvironmentService(c.work), add.add_EnvironmentServiceServicer_to_server),
        (
            "ApplicationService",
            ApplicationService(c.work, c.engine, c.catalog, c.installing, c.clock),
            add.add_ApplicationServiceServicer_to_server,
        ),
        ("PolicyService", PolicyService(c.work, c.engine, c.promoting), add.add_PolicyServiceServicer_to_server),
        ("OperationService", Operations(c.work, c.engine, runs), add.add_OperationServiceServicer_to_server),
        ("WebhookService", WebhookService(c.work, c.sender, c.sealer), add.add_WebhookServiceServicer_to_server),
    )
    common = "google.longrunning.Operations"
    return [
        *(Service(servicer, adder, f"{PACKAGE}.{name}") for name, servicer, adder in own),
        Service(OperationService(runs.find), operations_pb2_grpc.add_OperationsServicer_to_server, common),
    ]


def _controllers(c: _Common, services: Sequence[Service]) -> list[Worker]:
    """What reconciles objects of a cluster, where one is named."""
    if not c.settings.controllers:
        return []
    from catalyst_kube.daemons import Controllers  # here, as schemas and CEL are 20 MiB that others need not carry

    from .controllers import SERVICE, owned

    servicers = {service.name.rpartition(".")[2]: service.servicer for service in services}
    return [Controllers(SERVICE, c.settings, c.leases, owned(servicers))]


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("environment", EnvironmentSettings.load(), compose)
