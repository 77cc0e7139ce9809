"""The composition root of continuum."""

import base64
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
from catalyst.continuum.v1 import service_pb2_grpc
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
    Worker,
    connect,
    main,
    migrate,
)
from catalyst_mesh.plugins import NoSecrets, SecretFiles, plugin_context
from catalyst_mesh.streams import Curfew
from catalyst_sdk.witness import Carry, LeaseWitness
from google.longrunning import operations_pb2_grpc
from prometheus_client import CollectorRegistry

from .access import ACCESS
from .domain.slots import Slot
from .domain.spec import LeaseClient, Spec
from .domain.spec_rules import House
from .domain.timing import Profile
from .events import handled
from .messages import EMITTED
from .metrics import ContinuumMetrics
from .outfits import FENCER, TRAFFIC
from .regional import Region, pairs
from .rpc.elsewhere import Elsewhere, Operations
from .rpc.peers import ContinuumPeerService
from .rpc.service import ContinuumService
from .settings import ContinuumSettings
from .sovereigns import Sovereigns
from .store import Store, metadata
from .witnesses import WITNESS, configuration, of_wish
from .witnesses import witness as default_witness
from .workers.cell_memory import KeptMemory
from .workers.census import Census
from .workers.errands import Errands
from .workers.game_days import GameDays
from .workers.keeper import Keeper
from .workers.planner import Planner
from .workers.plugin_rules import SAFETY_CHECK
from .workers.quorum import Quorum
from .workers.register import Register
from .workers.registers import Placed, Registers
from .workers.rehearsals import Rehearsals
from .workers.relocations import Relocations
from .workers.triggers import Triggers
from .workers.witness_metrics import WitnessMetrics


@dataclass(frozen=True, slots=True)
class _Reach:
    """How this replica comes to registers, the house's and those that wishes name."""

    settings: ContinuumSettings
    host: PluginHost
    memory: KeptMemory
    profile: Profile

    def over(self, found: LeaseWitness, name: str, seen: Census, shown: WitnessMetrics | None = None) -> Placed:
        """The register of these cells, with a name for each start that never comes again."""

        def through(carry: Carry) -> Register:
            relayed = Quorum(dict.fromkeys(found.cells(), found)).through(carry)
            return Register(relayed, proposer(self.settings.region), memory=self.memory, configuration=name)

        register = Register(
            found,
            proposer(self.settings.region),
            memory=self.memory,
            census=seen,
            metrics=shown,
            behind=3 * self.profile.renew,
            configuration=name,
        )
        return Placed(name, register, found, seen, through)

    def of_wish(self, lease: LeaseClient, name: str) -> Placed:
        """The register that a slot asks for by itself."""
        found = of_wish(self.host, self.settings, lease)
        return self.over(found, name, Census(found))


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else in this daemon stands on.

    witness, census   the house's own cells, and who they are
    """

    settings: ContinuumSettings
    profile: Profile
    db: Database
    metrics: ChassisMetrics
    work: Work[Store]
    host: PluginHost
    witness: LeaseWitness
    census: Census
    memory: KeptMemory
    registers: Registers
    leases: Leases


async def _ground(settings: ContinuumSettings) -> _Ground:
    profile = Profile(settings.lease_ttl, settings.lease_renew, settings.op_timeout, settings.fence_budget)
    if faults := profile.faults():
        raise SystemExit("the lease's times are not safe:\n" + "\n".join(faults))
    db = await Database.open(settings.database_url, password_file=settings.database_password_file)
    await migrate(db, "catalyst_continuum", metadata)
    metrics = ChassisMetrics(CollectorRegistry())
    work = Work(
        db, Store, metadata=metadata, emitted=EMITTED, sealer=Sealer.from_file(settings.keyring),
        kept=metadata.tables["audit"],
    )  # fmt: skip
    host = plugins(settings, metrics)
    witness = default_witness(host, settings)
    census = Census(witness)
    memory = KeptMemory(settings.data_folder / "cells.seen", work)
    await memory.load()
    reach = _Reach(settings, host, memory, profile)
    registers = Registers(reach.over(witness, "", census, WitnessMetrics(metrics.registry)), reach.of_wish)
    leases = Leases(db, metadata, metrics=metrics)
    return _Ground(settings, profile, db, metrics, work, host, witness, census, memory, registers, leases)


async def compose(settings: ContinuumSettings) -> Daemon:
    """Wire continuum."""
    on = await _ground(settings)
    house = House("", in_memory=settings.allow_in_memory, regulated=settings.regulated)
    curfew, measures, channels = Curfew(), ContinuumMetrics(on.metrics.registry), _peers(settings)
    elsewhere = Elsewhere(channels)
    region = Region(settings, on.registers, on.host, on.work, house, measures) if settings.region else None
    planner = Planner(
        on.registers,
        region.survey if region else _no_survey,
        noted=measures.planned,
        judges=lambda name: on.host.get(SAFETY_CHECK, name),
    )  # fmt: skip - one call
    agents = region.roster.of if region else _nobody
    service = ContinuumService(
        on.work,
        on.registers,
        on.profile,
        curfew=curfew,
        house=house,
        planner=planner,
        elsewhere=elsewhere,
        region=settings.region,
        agents=agents,
        rehearses=region.rehearses if region else lambda spec: False,
        fences=region.fences if region else lambda slot, spec: 0.0,
    )  # fmt: skip - one call
    peers = ContinuumPeerService(settings.region, agents, region.witness_of if region else lambda _: on.witness)
    provisioner = connect(
        settings.provisioner_target, token=settings.token_for("provisioner"), tls=settings.certificates()
    )
    return Daemon(
        "continuum",
        settings,
        on.db,
        metadata,
        on.work,
        services=services(service, peers, elsewhere),
        access=ACCESS,
        metrics=on.metrics,
        plugins=on.host,
        bus=bus(settings),
        handled=[] if region else handled(Sovereigns(provisioner)),
        workers=[*_workers(on, region, planner), curfew, *_controllers(settings, service, on.leases)],
        armable=[region] if region else [],
        closing=[
            on.registers.close,
            lambda: provisioner.close(None),
            *(closed(channel) for channel in channels.values()),
            *(region.closing if region else ()),
        ],
    )


def _workers(on: _Ground, region: Region | None, planner: Planner) -> list[Worker]:
    """What runs beside the calls: agents and what serves them in a region, the keeper of Sovereigns' slots in the house."""
    work, registers, leases, name = on.work, on.registers, on.leases, on.settings.region
    keeper = Keeper(work=work, registers=registers, leases=leases, profile=on.profile)
    return [
        *(_of_region(region, name, work, planner) if region else (keeper,)),
        Errands(work=work, registers=registers, leases=leases),
        Relocations(name, work=work, registers=registers, leases=leases),
        on.registers,
        on.memory,
        on.census,
    ]


def _peers(settings: ContinuumSettings) -> dict[str, grpc.aio.Channel]:
    """Ways to the daemons of the other regions. With no token of our own: whoever is asked there is asked as the person here."""
    return {
        name: connect(address, tls=settings.certificates(), request_ids=True)
        for name, address in pairs(settings.peers).items()
    }


def _controllers(settings: ContinuumSettings, service: ContinuumService, leases: Leases) -> list[Worker]:
    """What reconciles objects of a cluster, where one is named."""
    if not settings.controllers:
        return []
    from catalyst_kube.daemons import Controllers  # here, as schemas and CEL are 20 MiB that others need not carry

    from .controllers import SERVICE, owned

    return [Controllers(SERVICE, settings, leases, owned(service))]


def _of_region(region: Region, name: str, work: Work[Store], planner: Planner) -> list[Worker]:
    """What runs where agents are."""
    return [
        *region.workers,
        Rehearsals(work, planner, region.acted),
        GameDays(name, work, planner, region.acted),
        Triggers(name, work, planner, region.acted),
        region.drills,
    ]


def closed(channel: grpc.aio.Channel) -> Callable[[], Awaitable[None]]:
    """What closes a channel."""
    return lambda: channel.close(None)


def plugins(settings: ContinuumSettings, metrics: ChassisMetrics) -> PluginHost:
    """Lease witnesses and promoters that are installed."""
    host = PluginHost(kinds=["lease_witness", "database_promoter", SAFETY_CHECK, FENCER, TRAFFIC], metrics=metrics)
    files = SecretFiles(settings.secrets_folder) if settings.secrets_folder else NoSecrets()
    listed = {} if settings.cells_file else {WITNESS: configuration(settings)}
    host.load(plugin_context(settings.data_folder, files), {**listed, **settings.plugins})
    return host


def services(service: ContinuumService, peers: ContinuumPeerService, elsewhere: Elsewhere) -> list[Service]:
    """What is served."""
    package = "catalyst.continuum.v1"
    return [
        Service(service, service_pb2_grpc.add_ContinuumServiceServicer_to_server, f"{package}.ContinuumService"),
        Service(peers, service_pb2_grpc.add_ContinuumPeerServiceServicer_to_server, f"{package}.ContinuumPeerService"),
        Service(
            Operations(service.operation, elsewhere),
            operations_pb2_grpc.add_OperationsServicer_to_server,
            "google.longrunning.Operations",
        ),
    ]  # fmt: skip - reads as a table


def bus(settings: ContinuumSettings) -> Bus:
    """Where events go. The daemon of a region has a store of its own: it shares no events with the house's."""
    name = f"continuum-{settings.region}" if settings.region else "continuum"
    return Bus(settings.nats_url, name, settings.nats_token.get_secret_value())


def _no_survey(slot: Slot, spec: Spec) -> None:
    """The house's own daemon has no agent that a plan could ask."""


def _nobody(slot: str) -> None:
    """The house's own daemon is no agent."""


def proposer(region: str) -> str:
    """A name for this start of this process; never drawn twice, or a ballot could carry two values (40 bits a region)."""
    drawn = base64.b32encode(secrets.token_bytes(5)).decode().lower()
    return f"{hashlib.sha256((region or 'continuum').encode()).hexdigest()[:6]}-{drawn}"


def start() -> None:
    """Run the daemon with the settings of the environment."""
    main("continuum", ContinuumSettings.load(), compose)
