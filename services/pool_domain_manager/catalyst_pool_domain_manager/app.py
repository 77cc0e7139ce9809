"""The composition root of PDM."""

import hashlib
from collections.abc import Mapping
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
from catalyst_mesh.plugins import SecretFiles, plugin_context
from prometheus_client import CollectorRegistry

from .access import ACCESS
from .events import EMITTED
from .rpc.allocations import AllocationService
from .rpc.pools import PoolService
from .rpc.zones import ZoneService
from .settings import PdmSettings
from .store import Store, metadata
from .workers.parents import Parents
from .workers.reconciler import Failpoint, Reconciler, no_failpoint
from .workers.servers import Servers
from .workers.sweeper import Sweeper

_PACKAGE = "catalyst.pooldomain.v1"


async def compose(settings: PdmSettings, failpoint: Failpoint = no_failpoint) -> Daemon:
    """Wire PDM. `failpoint` is told each point of the reconciler; a test kills there."""
    db = await Database.open(settings.database_url, password_file=settings.database_password_file)
    await migrate(db, "catalyst_pool_domain_manager", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    key_file = settings.data_folder / "seal.key"
    work = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=Sealer.from_file(key_file))
    token_key = hashlib.sha256(b"reservation tokens" + key_file.read_bytes()).digest()
    host = PluginHost(kinds=["dns_backend", "registrar"], metrics=metrics)
    secrets = SecretFiles(settings.secrets_folder) if settings.secrets_folder else None
    host.load(plugin_context(settings.data_folder, secrets), {**_embedded(settings), **settings.plugins})
    leases = Leases(db, metadata, metrics=metrics)
    reconciler = Reconciler(work, leases, host, Servers(settings.dns_hints), Parents(settings.batch_window), failpoint)
    sweeper = Sweeper(work, leases, host, settings.sweep_interval)
    return Daemon(
        "pooldomain",
        settings,
        db,
        metadata,
        work,
        services=[
            Service(
                PoolService(work, (settings.reservation_ttl, settings.quarantine), sweeper.wake),
                service_pb2_grpc.add_PoolServiceServicer_to_server,
                f"{_PACKAGE}.PoolService",
            ),
            Service(
                AllocationService(work, token_key),
                service_pb2_grpc.add_AllocationServiceServicer_to_server,
                f"{_PACKAGE}.AllocationService",
            ),
            Service(
                ZoneService(work, host), service_pb2_grpc.add_ZoneServiceServicer_to_server, f"{_PACKAGE}.ZoneService"
            ),
        ],
        access=ACCESS,
        metrics=metrics,
        plugins=host,
        bus=Bus(settings.nats_url, "pooldomain", settings.nats_token.get_secret_value()),
        workers=[reconciler, sweeper],
    )


def _embedded(settings: PdmSettings) -> Mapping[str, Mapping[str, Any]]:
    if not settings.dns_control:
        return {}
    return {"dns_backend:dns_embedded": {"control": settings.dns_control, "data": str(settings.dns_data)}}


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("pooldomain", PdmSettings.load(), compose)
