"""What the daemon of a region has besides: its agents, and what they act with."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import dns.name
import dns.tsig
from catalyst.pooldomain.v1.service_pb2_grpc import AllocationServiceStub
from catalyst_mesh import PluginHost, Work, connect
from catalyst_mesh.daemon import Worker
from catalyst_mesh.failpoints import Failpoints
from catalyst_sdk import Refused, deadman
from catalyst_sdk.continuum import Fencer, Traffic
from catalyst_sdk.witness import LeaseWitness

from .clock import boottime
from .domain import duties
from .domain.authority import Moment
from .domain.slots import Slot
from .domain.spec import Spec
from .domain.spec_rules import House
from .domain.steering import Steering, wished
from .metrics import ContinuumMetrics, OfSlot
from .outfits import Outfits
from .settings import ContinuumSettings
from .store import Store
from .workers.agent import Agent
from .workers.by_name import ByName
from .workers.clocks import Clocks
from .workers.fencers.deadman import DeadMan
from .workers.fencers.gateway import Drain, GatewayFencer
from .workers.fencers.ladder import Ladder
from .workers.isolated import IsolatedDrills
from .workers.logbook import Logbook
from .workers.memory import DiskMemory, boot_id
from .workers.naming import Address, Names
from .workers.peers import GrpcPeer
from .workers.prober import Prober
from .workers.probes import Probes
from .workers.registers import Registers
from .workers.reporting import Reporter
from .workers.roster import Roster, StoredSlots
from .workers.spool import Spool
from .workers.steps.scene import Hands
from .workers.survey import Survey
from .workers.surveys import survey_of, version_of
from .workers.tracing import TraceFile
from .workers.traffic.authority import Authority
from .workers.traffic.dns_update import DnsUpdate
from .workers.traffic.driven import DrivenTraffic
from .workers.traffic.pdm import PdmTraffic, allocation_of
from .workers.traffic.vantage import Resolvers

THE_SLOTS = "slot"
"""Word of the setting for resolvers: those that each slot's wish names."""
DNS_PORT = 53


def now() -> Moment:
    """What the clocks of this machine show."""
    return Moment(boottime(), time())


@dataclass
class Region:
    """What all agents of one region share."""

    settings: ContinuumSettings
    registers: Registers
    plugins: PluginHost
    work: Work[Store]
    house: House
    metrics: ContinuumMetrics
    closing: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._failpoints: Failpoints | None = None
        folder = self.settings.data_dir or self.settings.data_folder
        self._memory = DiskMemory(folder / "slots", boot_id())
        self._folder = folder
        self._trace = TraceFile(self.settings.trace or Path("/dev/null"))
        self._slots = StoredSlots(self.work, self.house)
        spool = Spool(folder / "spool")
        self._logbook = Logbook(self.work, lambda: self.roster.all(), self.metrics.told, spool)
        self.closing.append(self._trace.close)
        self.roster = Roster(self.settings.region, self._slots, hire=self._hire, promote=self._promotes_within)
        self._allocations: Any = None
        if self.settings.pools:
            channel = connect(
                self.settings.pdm_target, token=self.settings.token_for("pooldomain"), tls=self.settings.certificates()
            )
            self._allocations = AllocationServiceStub(channel)
            self.closing.append(lambda: channel.close(None))
        self._http: dict[tuple[Address, ...], ByName] = {}
        self.closing.append(self._close_http)
        at_work = lambda slot: self.roster.of(slot) is not None  # noqa: E731 - the roster comes and goes
        self._outfits = Outfits(self.settings, self.plugins, pairs(self.settings.gates), at_work)
        self.closing.append(self._close_gates)
        self._peers = {region: self._peer(address) for region, address in pairs(self.settings.peers).items()}
        channels = {region: peer.channel for region, peer in self._peers.items()}
        self._clocks = Clocks(self.settings.region, channels, self.registers.own.census)

    def arm(self, failpoints: Failpoints) -> None:
        """Where tests have this process end; before the first agent is hired."""
        self._failpoints = failpoints

    @property
    def workers(self) -> Sequence[Worker]:
        """What runs in the daemon of a region: the agents, and what carries their words to the store."""
        reporter = Reporter(
            work=self.work,
            metrics=self.metrics,
            at_work=self.roster.at_work,
            clock=now,
            clocks=self._clocks,
        )  # fmt: skip - one call
        probes = Probes(
            self.settings.region, self._probers(), self.roster.all, self._logbook.book, now, noted=self.metrics.moved
        )  # fmt: skip - one call
        return (self.roster, self._logbook, reporter, self._clocks, probes)

    def _probers(self) -> dict[str, Prober]:
        """Each begins with numbers that nobody has used: by the clock, and by the region's place among those that it knows."""
        places = tuple(addresses(self.settings.resolvers).values()) if self.settings.resolvers != THE_SLOTS else ()
        order = sorted((self.settings.region, *self._peers))
        first = int(time() * 1000) * 10 + order.index(self.settings.region)
        wished = pairs(self.settings.probes)
        if not wished or not places:
            return {}
        http = self._http.setdefault(places, ByName(Names(places, boottime, recursive=True)))
        return {slot: Prober(url, http, clock=boottime, first=first, step=10) for slot, url in wished.items()}

    def witness_of(self, slot: str) -> LeaseWitness:
        """The cells of a slot, for messages of peers."""
        spec = self.roster.wish_of(slot)
        return (self.registers.of(spec.lease) if spec is not None else self.registers.own).witness

    @property
    def drills(self) -> IsolatedDrills:
        """What tries promotions on copies."""
        return IsolatedDrills(
            self.settings.region, self.work, self.acted, self._outfits.promoter, self._logbook.book, time
        )  # fmt: skip - one call

    def rehearses(self, spec: Spec) -> bool:
        """Whether a promotion of such a slot can be tried on a copy."""
        return self._outfits.rehearses(spec)

    def fences(self, slot: str, spec: Spec) -> float:
        """Seconds that the slowest fencer of such a slot declares for itself; 0: nobody fences here, as no agent can act."""
        try:
            return Ladder(self._hands(slot, spec).all_fencers(local=True)).worst_case
        except Refused:
            return 0.0

    def acted(self) -> Sequence[tuple[str, Spec]]:
        """Slots that an agent acts for here, once it knows where it stands, and what is wished for each."""
        return [(one.agent.duty.slot, one.spec) for one in self.roster.at_work() if not one.agent.is_starting]

    def survey(self, slot: Slot, spec: Spec) -> Survey | None:
        """Whom a plan asks; None: no agent acts for the slot here."""
        agent = self.roster.of(slot.key)
        if agent is None:
            return None
        return survey_of(
            slot.key,
            spec,
            register=agent.sight.register,
            sight=agent.sight,
            hands=agent.acts.hands,
            memory=self._memory,
            versions=self._version,
        )  # fmt: skip - one call

    async def _version(self, region: str) -> str | None:
        peer = self._peers.get(region)
        return await version_of(peer.channel, self.settings.region) if peer is not None else None

    def _hire(self, slot: str, spec: Spec) -> Agent:
        region, placed = self.settings.region, self.registers.of(spec.lease)

        def tell(kind: str, *, why: str = "", evidence: Mapping[str, str] | None = None) -> None:
            self._logbook.tell(slot, region, kind, why, evidence or {})

        return Agent(
            duties.duty(slot, region, spec, promote=self._promotes_within(slot, spec)),
            register=placed.register,
            hands=self._hands(slot, spec),
            peers=self._peers,
            memory=self._memory,
            clock=now,
            trace=self._trace.of(region, slot, now, self._failpoints),
            tell=tell,
            book=self._logbook.book,
            moves=lambda: self._logbook.history(slot),
            bounds=duties.bounds(spec),
            renewed=partial(self.metrics.renewed, slot, region),
            relays=[placed.through(peer.carrying(slot)) for peer in self._peers.values()],
        )  # fmt: skip - one call

    def _hands(self, slot: str, spec: Spec) -> Hands:
        promoter, gates = self._outfits.promoter(slot, spec), self._outfits.gates(slot)
        dead_man = DeadMan(deadman.place(self._folder, slot), region=self.settings.region, clock=now)
        fencers: Sequence[Fencer] = (dead_man, *self._outfits.fencers(slot))
        if gates is not None:
            fencers = (*fencers, GatewayFencer(gates), GatewayFencer(gates, local=False))
        return Hands(promoter, self._traffic(slot, spec), fencers, dead_man.vouch)

    def _promotes_within(self, slot: str, spec: Spec) -> float:
        return self._outfits.promoter(slot, spec).worst_case

    def _traffic(self, slot: str, spec: Spec) -> Traffic:
        steering = wished(spec) or Steering("", (), {})
        gates = self._outfits.gates(slot)
        gate = Drain(gates) if gates is not None else None
        if steering.names and (driver := self._outfits.driver(slot, steering.selector)) is not None:
            noted = OfSlot(self.metrics, slot)
            return DrivenTraffic(steering, self.settings.region, *driver, boottime, gate, self._vantage(spec), noted)
        if steering.zone in self.settings.pools.split(",") and steering.zone:
            return PdmTraffic(
                steering, allocation_of(steering), self._allocations, boottime, gate=gate, vantage=self._vantage(spec)
            )
        return DnsUpdate(
            steering, self._authorities(steering.zone), boottime, gate, self._vantage(spec), OfSlot(self.metrics, slot)
        )

    def _vantage(self, spec: Spec) -> Resolvers | None:
        """The names as they look from elsewhere; with a health check, by a request of the name too."""
        said = self.settings.resolvers
        own = [(address, DNS_PORT) for address in spec.lease.resolvers]
        places = tuple(own if said == THE_SLOTS else addresses(said).values())
        if spec.names is None or not places:
            return None
        http = self._http.setdefault(places, ByName(Names(places, boottime, recursive=True)))
        return Resolvers(places, http, [spec.names.health.url] if spec.names.health else [])

    async def _close_http(self) -> None:
        for http in self._http.values():
            await http.close()

    def _authorities(self, zone: str) -> Sequence[Authority]:
        settings = self.settings
        if not zone or settings.traffic_key_file is None:
            return ()
        secret = settings.traffic_key_file.read_text().strip()
        key = dns.tsig.Key(dns.name.from_text(settings.traffic_key_name), secret, dns.tsig.HMAC_SHA256)
        return [
            Authority(name, *address, dns.name.from_text(zone), key, settings.op_timeout)
            for name, address in addresses(settings.traffic_authorities).items()
        ]

    def _peer(self, address: str) -> GrpcPeer:
        settings = self.settings
        channel = connect(address, token=settings.token_for("continuum"), tls=settings.certificates())
        self.closing.append(lambda: channel.close(None))
        return GrpcPeer(channel, settings.region, settings.op_timeout)

    async def _close_gates(self) -> None:
        for close in self._outfits.closing:
            await close()


def pairs(text: str) -> dict[str, str]:
    """`name=value` joined by commas."""
    return {name: value for name, _, value in (one.partition("=") for one in text.split(",") if one)}


def addresses(text: str) -> dict[str, tuple[str, int]]:
    """`name=ip:port` joined by commas."""
    found: dict[str, tuple[str, int]] = {}
    for name, address in pairs(text).items():
        host, _, port = address.rpartition(":")
        found[name] = (host.strip("[]"), int(port))
    return found
