"""The composition root of the catalogue."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from catalyst.catalog.v1 import service_pb2_grpc
from catalyst_mesh import (
    Bus,
    ChassisMetrics,
    Daemon,
    Database,
    Leases,
    OperationService,
    PluginHost,
    Sealer,
    Service,
    Work,
    Worker,
    main,
    migrate,
)
from catalyst_mesh.plugins import NoSecrets, SecretFiles, plugin_context
from google.longrunning import operations_pb2_grpc
from prometheus_client import CollectorRegistry

from . import departures, installing, seed
from .access import ACCESS
from .domain.sources import Scope, Source, configured
from .domain.trust import Policy, Requirement
from .events import EMITTED
from .metrics import CatalogMetrics
from .rpc.catalog import CatalogService
from .rpc.moderation import ModerationService
from .rpc.sources import SourceService, Syncs
from .rpc.storefront import StorefrontService
from .settings import CatalogSettings
from .store import Pictures, Store, metadata
from .workers.erasing import Eraser
from .workers.synchroniser import KIND, Synchroniser

PACKAGE = "catalyst.catalog.v1"
PUBLIC = "public"
CLUSTER = "cluster"
"""Source of the Blueprints that are objects."""


async def compose(settings: CatalogSettings) -> Daemon:
    """Wire the catalogue."""
    db = await Database.open(settings.database_url, password_file=settings.database_password_file)
    await migrate(db, "catalyst_catalog", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    sealer = Sealer.from_file(settings.keyring)
    work = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer)
    host = PluginHost(kinds=[KIND], metrics=metrics)
    secrets = SecretFiles(settings.secrets_folder) if settings.secrets_folder else NoSecrets()
    host.load(plugin_context(settings.data_folder, secrets), {**_cluster(settings), **settings.plugins})
    await seed.plant(work)
    for source in sources_of(settings):
        await configure(work, source)
    pictures = Pictures(work, seed.families(settings.blueprints))
    leases = Leases(db, metadata, metrics=metrics)
    synchroniser = Synchroniser(work=work, plugins=host, leases=leases, metrics=CatalogMetrics(metrics.registry))
    eraser = Eraser(work, after=timedelta(days=settings.erase_departed_days), pause=settings.erase_look_seconds)
    services = [
        Service(
            CatalogService(work, pictures, solver_seconds=settings.solver_seconds),
            service_pb2_grpc.add_CatalogServiceServicer_to_server,
            f"{PACKAGE}.CatalogService",
        ),
        Service(
            StorefrontService(work, pictures),
            service_pb2_grpc.add_StorefrontServiceServicer_to_server,
            f"{PACKAGE}.StorefrontService",
        ),
        Service(
            SourceService(work, host, synchroniser.wake),
            service_pb2_grpc.add_SourceServiceServicer_to_server,
            f"{PACKAGE}.SourceService",
        ),
        Service(
            OperationService(Syncs(work).find),
            operations_pb2_grpc.add_OperationsServicer_to_server,
            "google.longrunning.Operations",
        ),
        Service(
            ModerationService(work, pictures),
            service_pb2_grpc.add_ModerationServiceServicer_to_server,
            f"{PACKAGE}.ModerationService",
        ),
    ]
    return Daemon(
        "catalog",
        settings,
        db,
        metadata,
        work,
        services=services,
        access=ACCESS,
        metrics=metrics,
        plugins=host,
        bus=Bus(settings.nats_url, "catalog", settings.nats_token.get_secret_value()),
        handled=(*departures.HANDLED, *installing.HANDLED),
        workers=[synchroniser, eraser, *_controllers(settings, services, leases)],
        checks={"catalogue": _was_read(work)},
    )


def _controllers(settings: CatalogSettings, services: Sequence[Service], leases: Leases) -> list[Worker]:
    """What tells Blueprint objects of a cluster what became of them, where one is named."""
    if not settings.controllers:
        return []
    from catalyst_kube.daemons import Controllers  # here, as schemas and CEL are 20 MiB that others need not carry

    from .controllers import SERVICE, owned

    servicers = {service.name.rpartition(".")[2]: service.servicer for service in services}
    return [Controllers(SERVICE, settings, leases, owned(servicers, f"sources/{CLUSTER}"))]


def _cluster(settings: CatalogSettings) -> Mapping[str, Mapping[str, str]]:
    """What the plugin is told that reads Blueprints from a cluster: the API server is the daemon's own."""
    if not settings.controllers:
        return {}
    told = {
        "url": settings.kubernetes_url.rstrip("/"),
        "ca_file": settings.kubernetes_ca_file,
        "token_file": settings.kubernetes_token_file,
    }  # fmt: skip - a table
    return {f"{KIND}:kubernetes": {key: str(value) for key, value in told.items() if value}}


def _was_read(work: Work[Store]) -> Callable[[], Awaitable[bool]]:
    """Ready once the public Blueprints were read, or could not be: until then everything would seem unknown."""

    async def check() -> bool:
        async with work.reading() as tx:
            source = await tx.source(PUBLIC)
        return source is not None and source.observed > 0

    return check


def sources_of(settings: CatalogSettings) -> list[Source]:
    """The sources that the settings name: the public one, and a private one per Organization."""
    interval = timedelta(seconds=settings.sync_interval)
    public = Source(PUBLIC, "directory", Scope.PUBLIC, _folder(settings.blueprints), interval=interval)
    private = [
        Source(f"org-{org}", "directory", Scope.ORGANIZATION, _folder(folder), organization=org, interval=interval)
        for org, folder in sorted(settings.organization_folders.items())
    ]
    # Objects have no signature: who may write Blueprints into the cluster is asked by its API server.
    trusted = Policy(Requirement.OPTIONAL, Requirement.OPTIONAL)
    cluster = Source(CLUSTER, "kubernetes", Scope.SOVEREIGN, {}, interval=interval, trust=trusted)
    return [public, *private, *([cluster] if settings.controllers else [])]


async def configure(work: Work[Store], wanted: Source) -> None:
    """Bring a configured source into the database; one that stands so already is not touched."""

    async def step(tx: Store) -> None:
        changed = configured(await tx.source(wanted.id, lock=True, deleted=True), wanted)
        if changed is not None:
            await tx.save(changed)

    await work.again(step)


def _folder(path: Path) -> dict[str, str]:
    return {"folder": str(path.resolve())}


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("catalog", CatalogSettings.load(), compose)
