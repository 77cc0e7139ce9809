"""The composition root of the daemon of Organizations, Environments and Applications."""

from collections.abc import Awaitable, Callable, Sequence
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

PACKAGE = "catalyst.environment.v1"
RESTS = Backoff(first=timedelta(seconds=1))


class Delivering(NamedTuple):
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
    git_folder = settings.git_folder or settings.data_folder / "git"
    repositories = Repositories(git_folder)
    parts: tuple[Part, ...] = (BillingAccount(billing), GitHome(repositories, clock), *also)
    chronicle = Chronicle(db, work)
    engine = Engine(
        db,
        kinds=_kinds(Organizations(work, parts, rests), Applications(work, repositories, rests), chronicle),
        clock=clock,
        replica="environment",
        lease=timedelta(seconds=settings.lease_ttl),
        hook=hook,
        bell=work.bell,
    )
    bus = Bus(settings.nats_url, "environment", settings.nats_token.get_secret_value())
    sender = sender or Sender(allow_private=settings.allow_private_webhooks, own_networks=settings.own_networks)
    leases = Leases(db, metadata, metrics=metrics)
    promoting = Promoting(engine, clock, lambda: str(uuid4()))
    planner, installing = Catalog(catalog), Installing(engine, clock)
    promoter = Promoter(
        work,
        engine,
        leases,
        promoting,
        repositories,
        Adopting(work, engine, planner, repositories, clock),
        clock,
        pause=settings.promotion_pause,
    )  # fmt: skip - one call
    memberships = OwnMemberships(work)
    logins = Logins.of(git_folder)
    git = _git(settings, repositories, memberships, work, logins)
    delivering = _delivering(settings, work, leases, logins, git, EnvironmentMetrics(metrics.registry))
    services = [
        *_services(settings, work, engine, promoting, planner, installing, clock),
        Service(
            WebhookService(work, sender, sealer),
            service_pb2_grpc.add_WebhookServiceServicer_to_server,
            f"{PACKAGE}.WebhookService",
        ),
    ]
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
        workers=[
            engine,
            promoter,
            Herald(work, bus, leases),
            Courier(work, leases, sender, sealer),
            Gazette(work, bus, leases),
            *git,
            *delivering.workers,
            Fitter(work, leases, planner, installing),
            *_controllers(settings, services, leases),
        ],
        swept=rules(),
        closing=[
            lambda: billing.close(None),
            lambda: catalog.close(None),
            sender.close,
            *(one.close for one in git),
            *delivering.closing,
        ],
        memberships=memberships,
    )


def _git(
    settings: EnvironmentSettings, repositories: Repositories, memberships: OwnMemberships, work: Work[Store],
    logins: Logins,
) -> list[GitServer]:  # fmt: skip
    """Who serves the repositories, where anybody is to."""
    if not settings.repositories_listen:
        return []
    door = Door(verifier("environment", settings), memberships, work, logins)
    return [GitServer(settings.repositories_listen, repositories, door, shared=settings.shared_ports)]


def _delivering(
    settings: EnvironmentSettings, work: Work[Store], leases: Leases, logins: Logins, git: Sequence[GitServer],
    metrics: EnvironmentMetrics,
) -> Delivering:  # fmt: skip
    """Who brings Applications to clusters, where there are any and somebody serves what they pull."""
    base = settings.repositories_url or next((f"http://{one.address}" for one in git), "")
    if not settings.provisioner_target or not base:
        return Delivering((), ())
    channel = connect(settings.provisioner_target, token=settings.token_for("provisioner"), tls=settings.certificates())
    deliverer = Deliverer(
        work, leases, Clusters(channel), logins, lambda path: f"{base}/{path}",
        metrics=metrics, pause=settings.delivery_pause,
    )  # fmt: skip
    return Delivering((deliverer,), (lambda: channel.close(None),))


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


def _services(
    settings: EnvironmentSettings,
    work: Work[Store],
    engine: Engine,
    promoting: Promoting,
    catalog: Catalog,
    installing: Installing,
    clock: Clock,
) -> list[Service]:
    """What is served."""
    grace, runs, add = timedelta(seconds=settings.grace_seconds), OperationsOfRuns(work, engine), service_pb2_grpc
    own: tuple[tuple[str, Any, Any], ...] = (
        (
            "OrganizationService",
            OrganizationService(work, engine, reserved(), clock, grace=grace),
            add.add_OrganizationServiceServicer_to_server,
        ),
        ("MemberService", MemberService(work), add.add_MemberServiceServicer_to_server),
        ("EnvironmentService", EnvironmentService(work), add.add_EnvironmentServiceServicer_to_server),
        (
            "ApplicationService",
            ApplicationService(work, engine, catalog, installing, clock),
            add.add_ApplicationServiceServicer_to_server,
        ),
        ("PolicyService", PolicyService(work, engine, promoting), add.add_PolicyServiceServicer_to_server),
        ("OperationService", Operations(work, engine, runs), add.add_OperationServiceServicer_to_server),
    )
    common = "google.longrunning.Operations"
    return [
        *(Service(servicer, adder, f"{PACKAGE}.{name}") for name, servicer, adder in own),
        Service(OperationService(runs.find), operations_pb2_grpc.add_OperationsServicer_to_server, common),
    ]


def _controllers(settings: EnvironmentSettings, services: Sequence[Service], leases: Leases) -> list[Worker]:
    """What reconciles objects of a cluster, where one is named."""
    if not settings.controllers:
        return []
    from catalyst_kube.daemons import Controllers  # here, as schemas and CEL are 20 MiB that others need not carry

    from .controllers import SERVICE, owned

    servicers = {service.name.rpartition(".")[2]: service.servicer for service in services}
    return [Controllers(SERVICE, settings, leases, owned(servicers))]


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("environment", EnvironmentSettings.load(), compose)
