"""A small world in which a domain moves: root and top level on one server, the old host on a second, ours on a third, and a
fake of OVH whose registry publishes at the top level what it was told."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

import dns.dnssec
import dns.name
import dns.rdata
from catalyst.pooldomain.v1.resources_pb2 import (
    Delegation,
    DelegationRecords,
    DsRecord,
    Plan,
    RegistrarAccount,
)
from catalyst.pooldomain.v1.service_pb2 import (
    ApplyDelegationRequest,
    CreateRegistrarAccountRequest,
    GetDelegationRequest,
    ImportZoneRequest,
    PlanDelegationRequest,
    PlanZoneRequest,
    RollbackDelegationRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import (
    DelegationServiceStub,
    RegistrarServiceStub,
    ZoneServiceStub,
)
from catalyst_pool_domain_manager.app import compose
from catalyst_pool_domain_manager.settings import PdmSettings
from catalyst_pool_domain_manager.workers.points import Failpoint, no_failpoint
from catalyst_sdk.dns import Change, RecordSet, ZoneSpec, ZoneState
from catalyst_sdk.resolver import Resolver, Security
from catalyst_testkit import eventually
from catalyst_testkit.daemons import RunningDaemon, running
from catalyst_testkit.fake_registrar import FakeDomain, serving
from catalyst_testkit.servers import NatsServer

from plugins.registrar_ovh.tests import fake_ovh as ovh

from .dns_servers import Dns
from .zone_calls import DOMAIN, HOSTS, ZONE, applied, ended, made_zone

CUT = f"{ZONE}/delegation"
ORIGIN = f"{DOMAIN}."
OLD_HOSTS = ("ns1.old.test", "ns2.old.test")
TOP = "example."
ACCOUNT = "registrarAccounts/acme-ovh"
MAIL: Mapping[tuple[str, str], tuple[str, ...]] = {
    (ORIGIN, "MX"): (f"10 mail.{ORIGIN}",),
    (ORIGIN, "TXT"): ('"v=spf1 mx -all"',),
    (f"s1._domainkey.{ORIGIN}", "TXT"): ('"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS"',),
    (f"_dmarc.{ORIGIN}", "TXT"): ('"v=DMARC1; p=reject"',),
    (f"mail.{ORIGIN}", "A"): ("192.0.2.25",),
    (f"www.{ORIGIN}", "A"): ("192.0.2.80",),
}
"""What the old host answers, and everybody after it."""


CREDENTIAL = {"region": "eu", "appKey": ovh.APP, "appSecret": ovh.SECRET, "consumerKey": ovh.CONSUMER}


class Server(Dns):
    """An embedded server with a tree of its own."""

    def __init__(self, folder: Path, tree: str) -> None:
        folder.mkdir()
        super().__init__(folder)
        self.tree = tree


@dataclass
class Samples:
    """What a resolver without a cache got from the root, all the time.

    silent  questions that nobody answered
    wrong   answers that were not the mail's, answers that did not validate, and servers without authority for the domain
    bare    answers that nobody had signed, or that no parent vouched for
    """

    taken: int = 0
    silent: int = 0
    bare: int = 0
    wrong: list[str] = field(default_factory=list)


@dataclass
class World:
    """All of it."""

    top: Server
    old: Server
    ours: Dns
    fake: Any
    hints: Path
    samples: Samples = field(default_factory=Samples)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """The registry goes home."""

    @property
    def resolver(self) -> Resolver:
        return Resolver.from_files(self.hints, self.top.folder / "root.key")

    async def delegate(self, ns: Iterable[str], ds: Iterable[str]) -> None:
        """What the top level says from now on."""
        hosts = tuple(f"{host.rstrip('.')}." for host in ns)
        glue = [Change(host, "A", 1, ("127.0.0.1",)) for host in hosts if host.endswith(f".{TOP}")]
        changes = [*glue, Change(ORIGIN, "NS", 1, hosts)]
        found = tuple(ds)
        changes.append(Change(ORIGIN, "DS", 1, found) if found else Change(ORIGIN, "DS"))
        await self.top.backend.apply(zone=TOP, changes=tuple(changes))

    async def publish(self) -> None:
        """The registry at its work: what the registrar accepted shows, a moment later."""
        shown: Any = None
        while not self.ended.is_set():
            domain = self.fake.domains[DOMAIN]
            self.fake.finish()
            now = (list(domain.ns), [_digest(key) for key in domain.ds])
            if now != shown:
                await self.delegate(*now)
                shown = now
            await asyncio.sleep(0.1)

    async def sample(self, stop: asyncio.Event) -> None:
        """Ask for mail from the root, one name after the other, again and again."""
        for (name, kind), wanted in cycle(MAIL.items()):
            if stop.is_set():
                return
            seen = await self.resolver.resolve(name, kind)
            if "without authority" in seen.why:  # the world may have changed within one walk: the next one is whole
                seen = await self.resolver.resolve(name, kind)
            if "without authority" in seen.why:
                self.samples.wrong.append(f"{kind} of {name}: lame {seen.why}")
            elif seen.security is Security.INDETERMINATE:
                self.samples.silent += 1  # nobody answered: no other answer, and no letter lost
            elif seen.records != wanted or seen.security is Security.BOGUS:
                self.samples.wrong.append(f"{kind} of {name}: {seen.security} {seen.records} {seen.why}")
            self.samples.bare += seen.security is Security.INSECURE
            self.samples.taken += 1
            await asyncio.sleep(0.1)

    def settings(self, **more: object) -> dict[str, Any]:
        own = self.ours.settings()
        values = {
            **own, "dns_hints": self.hints, "sweep_interval": 5.0, "flip_probe": 0.1, "flip_watch": 0.5,
            "registrar_poll": 0.1, "flip_ttl": 1,
            "plugins": {
                **own.get("plugins", {}), "registrar:ovh": {"url": f"{self.fake.url}/1.0", "try_seconds": 5},
            },
        }  # fmt: skip
        return {**values, **more}


def _digest(key: Mapping[str, Any]) -> str:
    text = f"{key['flags']} 3 {key['algorithm']} {key['publicKey']}"
    return str(dns.dnssec.make_ds(dns.name.from_text(ORIGIN), dns.rdata.from_text("IN", "DNSKEY", text), "SHA256"))


def as_key(state: ZoneState) -> dict[str, Any]:
    """The key of a zone as OVH lists it."""
    flags, _, algorithm, key = state.keys[0].dnskey.split(maxsplit=3)
    return {
        "flags": int(flags), "algorithm": int(algorithm), "publicKey": key.replace(" ", ""), "tag": state.keys[0].tag,
    }  # fmt: skip


@asynccontextmanager
async def world(home: Path, dns: Dns, *, signed: bool = True) -> AsyncIterator[World]:
    """The domain at its old host, signed there, with its DS at the top level."""
    top, old = Server(home / "top", TOP.rstrip(".")), Server(home / "old", "elsewhere.test")
    async with AsyncExitStack() as stack:
        for one in (top, old):
            stack.callback(one.end)
            one.start()
        yield await stack.enter_async_context(_settled(home, top, old, dns, signed=signed))


@asynccontextmanager
async def _settled(home: Path, top: Server, old: Server, dns: Dns, *, signed: bool) -> AsyncIterator[World]:
    hints = home / "hints.json"
    known = json.loads(top.hints.read_text())
    known |= {f"{host}.": old.address for host in OLD_HOSTS} | {
        f"{host}.": "{}:{}".format(*dns.served_at) for host in HOSTS
    }
    hints.write_text(json.dumps(known))
    records = tuple(RecordSet(name, kind, 1, data) for (name, kind), data in MAIL.items())
    spec = ZoneSpec(ORIGIN, tuple(f"{h}." for h in OLD_HOSTS), "old", records, signed=signed, ttl=1, negative_ttl=1)
    state = await old.backend.create_zone(spec=spec)
    fake = ovh.FakeOvh()
    fake.domains[DOMAIN] = FakeDomain(list(OLD_HOSTS), [as_key(state)] if signed else [])
    async with serving(fake):
        it = World(top, old, dns, fake, hints)
        await it.delegate(OLD_HOSTS, [text for key in state.keys for text in key.ds])
        task = asyncio.create_task(it.publish())
        try:
            yield it
        finally:
            it.ended.set()
            await task


@asynccontextmanager
async def watched(it: World) -> AsyncIterator[Samples]:
    """Mail is asked for all through the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(it.sample(stop))
    try:
        yield it.samples
    finally:
        stop.set()  # and no cancellation, which what waits for an answer may swallow
        await task


def begin(
    it: World, home: Path, nats: NatsServer, database: str = "", failpoint: Failpoint = no_failpoint, **more: object
) -> Any:
    """The daemon, on what the one before left."""
    values = it.settings(nats_url=nats.url, **more)
    (home / "pdm").mkdir(exist_ok=True)
    if database:
        values["database_url"] = database
    return running(partial(compose, failpoint=failpoint), PdmSettings, home / "pdm", **values)


def cuts(daemon: RunningDaemon) -> DelegationServiceStub:
    return daemon.member(DelegationServiceStub, "acme")


async def prepared(daemon: RunningDaemon, it: World, **zone: Any) -> None:
    """The account, the zone on our servers, and in it all that the old host answers."""
    wish = RegistrarAccount(registrar="registrars/ovh", credential=CREDENTIAL)
    await daemon.member(RegistrarServiceStub, "acme").CreateRegistrarAccount(
        CreateRegistrarAccountRequest(registrar_account_id="acme-ovh", registrar_account=wish)
    )
    await made_zone(daemon, it.ours, **zone)
    await imported(daemon)


async def imported(daemon: RunningDaemon) -> None:
    """What the present servers answer is found, and wished."""
    zones = daemon.member(ZoneServiceStub, "acme")
    request = ImportZoneRequest(parent=ZONE)
    request.probe.extra_names.append("s1._domainkey")
    operation = await ended(daemon, (await zones.ImportZone(request)).name)
    assert operation.HasField("response"), operation.error
    from catalyst.pooldomain.v1.resources_pb2 import ZoneImport

    found = ZoneImport()
    operation.response.Unpack(found)
    assert {(r.name, r.type) for r in found.record_sets} >= set(MAIL), found
    plan = await zones.PlanZone(PlanZoneRequest(parent=ZONE, accept_partial=True, **{"import": found.name}))
    await applied(daemon, plan)


async def own_ds(it: World) -> list[DsRecord]:
    """DS of our zone's key."""
    state = await it.ours.backend.get_zone(zone=ORIGIN)
    assert state is not None
    found = []
    for text in state.keys[0].ds:
        tag, algorithm, kind, digest = text.split(maxsplit=3)
        found.append(DsRecord(key_tag=int(tag), algorithm=int(algorithm), digest_type=int(kind), digest=digest.lower()))
    return found


async def planned(daemon: RunningDaemon, it: World, account: str = ACCOUNT, **records: Any) -> Plan:
    target = DelegationRecords(**{"ns": HOSTS, "ds": await own_ds(it), **records})
    return await cuts(daemon).PlanDelegation(PlanDelegationRequest(name=CUT, target=target, registrar_account=account))


async def flipped(daemon: RunningDaemon, plan: Plan, *force: str) -> str:
    """Begin; the operation's name."""
    request = ApplyDelegationRequest(name=CUT, plan=plan.name, hash=plan.hash, force=force)
    return str((await cuts(daemon).ApplyDelegation(request)).name)


async def rolled(daemon: RunningDaemon, reason: str = "it was a try") -> str:
    return str((await cuts(daemon).RollbackDelegation(RollbackDelegationRequest(name=CUT, reason=reason))).name)


async def stands(daemon: RunningDaemon) -> Delegation:
    return await daemon.admin(DelegationServiceStub).GetDelegation(GetDelegationRequest(name=CUT))


async def until(daemon: RunningDaemon, state: "Delegation.State.ValueType", within: float = 60) -> Delegation:
    seen = Delegation()

    async def is_so() -> bool:
        seen.CopyFrom(await stands(daemon))
        return seen.state == state

    what = f"the delegation is {Delegation.State.Name(state)}"
    try:
        await eventually(is_so, within=within, what=what)
    except AssertionError as error:
        raise AssertionError(f"{what}, not {seen}") from error
    return seen
