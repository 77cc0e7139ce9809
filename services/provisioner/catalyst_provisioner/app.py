"""The composition root of the provisioner."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any

import grpc
from catalyst.provisioner.v1 import service_pb2_grpc
from catalyst_mesh import (
    Bus,
    ChassisMetrics,
    Daemon,
    Database,
    Issuer,
    KeyFileVerifier,
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
from catalyst_mesh.claims import AGENTS
from catalyst_mesh.identity import AGENT_ISSUER
from catalyst_mesh.journal import Engine
from catalyst_mesh.keyfiles import kept
from catalyst_mesh.plugins import plugin_context
from catalyst_mesh.streams import Curfew
from catalyst_sdk import Manifest
from catalyst_sdk.context import PluginContext
from google.longrunning import operations_pb2_grpc
from prometheus_client import CollectorRegistry
from publicsuffixlist import PublicSuffixList

from .access import ACCESS
from .certificates import Authority, pin
from .chronicle import Chronicle
from .clouds import KIND, CloudPlugins
from .data import reference
from .domain.reference import Reference
from .domain.wishes import Document
from .events import EMITTED
from .gitserver import GitServer, Passwords
from .heartbeats import Heartbeats
from .history import History
from .metrics import ProvisionerMetrics
from .peers import Catalog, Names, Orders
from .planning import Planner
from .probing import ConsoleProbe, answers
from .releasing import Releases
from .repository import Repositories
from .rpc.agents import AgentService, Desk
from .rpc.credentials import CredentialService
from .rpc.grants import AccessService
from .rpc.infrastructure import InfrastructureService
from .rpc.offers import OfferService
from .rpc.operations import Operations
from .rpc.plans import PlanService
from .rpc.run_views import RunViews
from .rpc.runs import RunService
from .rpc.sovereigns import SovereignService
from .rpc.workloads import WorkloadService
from .settings import ProvisionerSettings
from .steps import Tools, kinds
from .steps.tools import UNDO_PATIENCE, Probes
from .store import Store, metadata
from .vault import Vault
from .workers.custodian import Custodian
from .workers.keeper import NameKeeper
from .workers.watchman import Watchman
from .zones import Zones

SANDBOX = "sandbox"
HEARTBEAT = timedelta(seconds=15)
GRACE = timedelta(seconds=60)
SLOWEST_LOOK = timedelta(seconds=5)
QUICKEST_LOOK = timedelta(milliseconds=200)
QUICKEST_WATCH = timedelta(seconds=1)
LOOKS_BEFORE_RETRY = 12
"""A failure policy that retries rests a minute at first, scaled like all else."""
Hook = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Peers:
    """Other daemons."""

    catalog: Catalog
    names: Names
    zones: Zones
    orders: Orders


@dataclass(frozen=True, slots=True)
class Ground:
    """What everything else stands on."""

    db: Database
    work: Work[Store]
    sealer: Sealer
    vault: Vault
    metrics: ChassisMetrics
    host: PluginHost
    clouds: CloudPlugins


@dataclass(frozen=True, slots=True)
class Trees:
    """What clusters pull from."""

    repositories: Repositories
    passwords: Passwords
    git: GitServer


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


async def compose(
    settings: ProvisionerSettings, hook: Hook = lambda point: None, probe: Probes | None = None
) -> Daemon:
    """Wire the provisioner. `hook` is the journal's, for tests that crash it; `probe` looks at consoles."""
    g = await _ground(settings)
    channels = _channels(settings)
    peers = Peers(Catalog(channels[0]), Names(channels[1]), Zones(channels[1]), Orders(channels[2]))
    trees, planner = _trees(settings), _planner(settings, g, peers)
    tools = _tools(settings, g, planner, peers, trees, probe)
    engine = _engine(settings, g, tools, hook)
    leases, curfew, history = Leases(g.db, metadata, metrics=g.metrics), Curfew(), History(g.work)
    heartbeats = Heartbeats(g.work, _scaled(HEARTBEAT, settings))
    views = RunViews(g.work, engine, history)
    plans = PlanService(g.work, planner, engine, peers.orders, history, require_paid_order=settings.require_paid_order)
    watchman = _watchman(settings, g, engine, leases, tools, plans)
    custodian = Custodian(g.work, g.sealer, g.clouds.made_by_tools())
    services = _services(g, planner, engine, plans, views, _desk(settings, g, trees, heartbeats), trees.git, curfew)
    names = NameKeeper(tools, engine, leases)
    loops: list[Worker] = [engine, trees.git, names, watchman, custodian, curfew, heartbeats]
    return Daemon(
        "provisioner",
        settings,
        g.db,
        metadata,
        g.work,
        services=services,
        access=ACCESS,
        metrics=g.metrics,
        plugins=g.host,
        bus=Bus(settings.nats_url, "provisioner", settings.nats_token.get_secret_value()),
        workers=[*loops, *_controllers(settings, services, leases)],
        closing=[trees.git.close, *(_closing(channel) for channel in channels)],
        also_trusts=[KeyFileVerifier(settings.data_folder / "agents" / "jwks.json", issuer=AGENT_ISSUER, share=AGENTS)],
    )


async def _ground(settings: ProvisionerSettings) -> Ground:
    db = await Database.open(settings.database_url, password_file=settings.database_password_file)
    await migrate(db, "catalyst_provisioner", metadata)
    metrics, sealer = ChassisMetrics(CollectorRegistry()), Sealer.from_file(settings.keyring)
    work: Work[Store] = Work(db, Store, metadata=metadata, emitted=EMITTED, sealer=sealer, kept=metadata.tables["told"])
    vault = Vault(work, sealer)
    host = PluginHost(kinds=[KIND], metrics=metrics)
    host.load(_context(settings, vault), _plugin_config(settings))
    return Ground(db, work, sealer, vault, metrics, host, await _clouds(host, vault))


def _channels(settings: ProvisionerSettings) -> list[grpc.aio.Channel]:
    return [
        connect(target, token=settings.token_for(peer), tls=settings.certificates())
        for peer, target in _targets(settings)
    ]


def _trees(settings: ProvisionerSettings) -> Trees:
    repositories = Repositories(settings.data_folder / "trees")
    passwords = Passwords(_key(settings.data_folder / "git.key"))
    git = GitServer(settings.git_listen, repositories, passwords, shared=settings.shared_ports, base=settings.trees_url)
    return Trees(repositories, passwords, git)


def _planner(settings: ProvisionerSettings, g: Ground, peers: Peers) -> Planner:
    return Planner(
        g.work,
        g.vault,
        g.clouds,
        peers.catalog,
        peers.names,
        peers.zones,
        reference(),
        lambda name: bool(_suffixes().is_public(name)),
        Releases(g.work, settings.channels_file),
    )


def _engine(settings: ProvisionerSettings, g: Ground, tools: Tools, hook: Hook) -> Engine:
    planner = tools.planner
    chronicle = Chronicle(g.db, g.work, lambda spec: _size(spec, planner, planner.reference))
    return Engine(
        g.db,
        kinds=kinds(tools, chronicle.transition),
        replica="provisioner",
        lease=timedelta(seconds=settings.lease_ttl),
        runs=settings.most_runs,
        hook=hook,
        bell=g.work.bell,
    )


def _watchman(
    settings: ProvisionerSettings, g: Ground, engine: Engine, leases: Leases, tools: Tools, plans: PlanService
) -> Watchman:
    return Watchman(
        g.work, engine, leases, answers=answers, pause=max(tools.look_again, QUICKEST_WATCH),
        retry_pause=tools.look_again * LOOKS_BEFORE_RETRY, drift_interval=timedelta(seconds=settings.drift_interval),
        grace=_scaled(GRACE, settings), end_life=plans.end_life, metrics=ProvisionerMetrics(g.metrics.registry),
    )  # fmt: skip


def _desk(settings: ProvisionerSettings, g: Ground, trees: Trees, heartbeats: Heartbeats) -> Desk:
    folder = settings.data_folder / "agents"
    issuer, authority = Issuer.open(folder, AGENT_ISSUER), Authority.open(folder, SystemClock().now())
    return Desk(issuer, authority, g.sealer, trees.passwords, trees.git, heartbeats)


async def _clouds(host: PluginHost, vault: Vault) -> CloudPlugins:
    """The clouds that loaded; a simulated one gets its credential here, because nobody can be asked for it."""
    clouds = CloudPlugins(host)
    for cloud in clouds.clouds.values():
        if cloud.default_credential:
            await vault.ensure_simulated(cloud.default_credential, cloud.provider)
    return clouds


def _tools(
    settings: ProvisionerSettings, g: Ground, planner: Planner, peers: Peers, trees: Trees, probe: Probes | None
) -> Tools:
    return Tools(
        work=g.work,
        vault=g.vault,
        planner=planner,
        names=peers.names,
        zones=peers.zones,
        repositories=trees.repositories,
        trees=trees.git,
        passwords=trees.passwords,
        probe=probe or ConsoleProbe(settings.dns_hints, settings.dns_trust_anchor, settings.trust_bundle),
        endpoint=settings.public_url or settings.listen,
        ca_pin=pin(settings.tls_certificate_file),
        look_again=_look_again(settings),
        reservation_ttl=timedelta(seconds=settings.reservation_ttl),
        enrolment_ttl=timedelta(seconds=settings.enrolment_ttl),
        blocked_rest=_look_again(settings) * LOOKS_BEFORE_RETRY,
        destroy_pause=timedelta(seconds=settings.destroy_verify_seconds),
        undo_patience=_scaled(UNDO_PATIENCE, settings),
        tofu=asyncio.Semaphore(settings.max_tofu),
    )


def _services(
    g: Ground, planner: Planner, engine: Engine, plans: PlanService, views: RunViews, desk: Desk, git: GitServer,
    curfew: Curfew,
) -> list[Service]:  # fmt: skip
    work, vault = g.work, g.vault
    contract, root = service_pb2_grpc, "catalyst.provisioner.v1"
    return [
        Service(
            SovereignService(work, planner, engine, git.url),
            contract.add_SovereignServiceServicer_to_server,
            f"{root}.SovereignService",
        ),
        Service(plans, contract.add_PlanServiceServicer_to_server, f"{root}.PlanService"),
        Service(
            RunService(work, engine, views, curfew), contract.add_RunServiceServicer_to_server, f"{root}.RunService"
        ),
        Service(AgentService(work, desk, curfew), contract.add_AgentServiceServicer_to_server, f"{root}.AgentService"),
        Service(
            InfrastructureService(work, engine, planner, curfew),
            contract.add_InfrastructureServiceServicer_to_server,
            f"{root}.InfrastructureService",
        ),
        Service(
            CredentialService(work, planner.clouds, vault.sealer, engine),
            contract.add_CredentialServiceServicer_to_server,
            f"{root}.CredentialService",
        ),
        Service(
            AccessService(work, vault.sealer),
            contract.add_AccessServiceServicer_to_server,
            f"{root}.AccessService",
        ),
        Service(
            WorkloadService(work, vault.sealer),
            contract.add_WorkloadServiceServicer_to_server,
            f"{root}.WorkloadService",
        ),
        Service(
            OfferService(planner.clouds, planner.reference),
            contract.add_OfferServiceServicer_to_server,
            f"{root}.OfferService",
        ),
        Service(
            OperationService(Operations(work, engine, views).find),
            operations_pb2_grpc.add_OperationsServicer_to_server,
            "google.longrunning.Operations",
        ),
    ]  # fmt: skip - one service a row


def _controllers(settings: ProvisionerSettings, services: list[Service], leases: Leases) -> list[Worker]:
    """What reconciles objects of a cluster, where one is named."""
    if not settings.controllers:
        return []
    from catalyst_kube.daemons import Controllers  # here, as schemas and CEL are 20 MiB that others need not carry

    from .controllers import SERVICE, owned, states

    servicers = {service.name.rpartition(".")[2]: service.servicer for service in services}
    return [
        Controllers(
            SERVICE,
            settings,
            leases,
            owned(servicers, settings.sovereign_defaults, settings.requester_prefix if settings.requesters else None),
            also=lambda cluster: {"provisioningstates": states(servicers, cluster, settings.states_namespace)},
        )
    ]  # fmt: skip - one call


def _targets(settings: ProvisionerSettings) -> tuple[tuple[str, str], ...]:
    return (
        ("catalog", settings.catalog_target),
        ("pooldomain", settings.pdm_target),
        ("billing", settings.billing_target),
    )  # fmt: skip - a table


def _context(settings: ProvisionerSettings, vault: Vault) -> Callable[[Manifest, Mapping[str, Any]], PluginContext]:
    usual = plugin_context(settings.data_folder, vault)

    def make(manifest: Manifest, config: Mapping[str, Any]) -> PluginContext:
        made = usual(manifest, config)
        if manifest.name != SANDBOX or settings.sandbox_dir is None:
            return made
        settings.sandbox_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return PluginContext(made.clock, made.logger, made.secrets, settings.sandbox_dir, made.config)

    return make


def _plugin_config(settings: ProvisionerSettings) -> Mapping[str, Mapping[str, Any]]:
    return {f"{KIND}:{SANDBOX}": {"time_scale": settings.time_scale}, **settings.plugins}


def _scaled(length: timedelta, settings: ProvisionerSettings) -> timedelta:
    return max(length * settings.time_scale, timedelta(seconds=1))


def _look_again(settings: ProvisionerSettings) -> timedelta:
    """Pause between two looks: what production takes, scaled like the simulated clusters."""
    return min(max(SLOWEST_LOOK * settings.time_scale, QUICKEST_LOOK), SLOWEST_LOOK)


def _closing(channel: grpc.aio.Channel) -> Callable[[], Awaitable[None]]:
    return partial(channel.close, None)


def _size(spec: Document, planner: Planner, facts: Reference) -> Mapping[str, Any]:
    """How much a Sovereign is, for billing, from the data file's sizes."""
    wish = planner.wish(spec)
    total = {"clusters": len(wish.clusters), "nodes": 0, "vcpu": 0, "memory_mib": 0, "storage_gib": 0}
    for cluster in wish.clusters:
        sizes = {row["id"]: row for row in facts.sizes.get(cluster.provider, ())}
        for pool in (cluster.control_plane, *cluster.pools):
            row = sizes.get(pool.size, {})
            total["nodes"] += pool.count
            total["vcpu"] += pool.count * int(row.get("vcpu") or 0)
            total["memory_mib"] += pool.count * 1024 * int(row.get("ram_gb") or 0)
            total["storage_gib"] += pool.count * int(row.get("disk_gb") or 0)
    return total


def _key(path: Path) -> bytes:
    """A key of 32 bytes that is made once."""
    return bytes.fromhex(kept(path, lambda: secrets.token_hex(32)))


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("provisioner", ProvisionerSettings.load(), compose)
