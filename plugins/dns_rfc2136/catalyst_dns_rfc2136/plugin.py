"""The backend: zones on a server that takes signed dynamic updates (RFC 2136).

What the server does not do itself is done here
  proof           "NOERROR" is none: servers ignore what they do not like. After each update the zone is read back;
  compare         each update asks for the turn, and for the records in question, as they were read: whoever comes late
                  changes nothing (section 2.4), also between processes;
  judge first     servers take an alias beside data, or a DS without NS, and leave half of it out;
  remembered      a zone is read once as a whole (AXFR), then only what changed since (IXFR). The server's serial decides.
Keys are the server's own affair, and are read from the zone.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update
from catalyst_sdk import NotSupported, Permanent, Temporary, dns_rules, hookimpl
from catalyst_sdk.context import Clock, PluginContext
from catalyst_sdk.dns import BackendInfo, Capability, Change, KeyOp, RecordSet, ZoneSpec, ZoneState
from catalyst_sdk.dns_rules import Faults, Key

from . import zones
from .bind import Bind
from .control import Control, Folders
from .copies import Copy
from .knot import Knot
from .wire import PROVIDER, Line, Refusal, Stale, Unsigned
from .zones import TURN_MARK, Held

SOFTWARE = "a server with dynamic updates (RFC 2136)"
SCRATCH = "catalyst-probe.invalid."
"""A zone that is made and deleted to see what the server can do; nobody else's name ends so (RFC 6761, section 6.4)."""
_MOST = frozenset(
    {Capability.ZONE_LIFECYCLE, Capability.DNSSEC, Capability.CDS, Capability.ATOMIC_BATCH, Capability.COMPARE_AND_SWAP,
     Capability.AXFR}
)  # fmt: skip
_UNMET = frozenset({dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN, dns.rcode.NXRRSET, dns.rcode.YXRRSET})
_NOT_HERE = frozenset({dns.rcode.NOTAUTH, dns.rcode.REFUSED, dns.rcode.NXDOMAIN})
_TRIES = 3
"""Of an update whose zone changed between reading and writing, where the caller did not say what he expects."""
_REMEMBERED = timedelta(minutes=1)
"""How long a copy is brought up to date before it is read anew: a change of keys does not move PowerDNS's serial."""
_PATIENT = 12
"""After so many looks a new zone's signing is asked for."""
_LOOKS, _LOOK_AGAIN = 80, 0.025
"""How often, and after how many seconds, a server is looked at that said yes and does not show it yet."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How zones come to be at this server.

    control      None: they are made by others
    is_signing   new zones are signed, where the wish says so
    prepared     zones made for us to fill, `*.` in front of a name for all directly below it
    """

    control: Control | None = None
    folders: Folders | None = None
    is_signing: bool = False
    prepared: tuple[str, ...] = ()
    probe_zone: str = ""

    def is_prepared(self, zone: str) -> bool:
        """Whether the operator has made that zone for us."""
        return zone in self.prepared or f"*.{zone.partition('.')[2]}" in self.prepared


@dataclass(frozen=True, slots=True)
class _Known:
    """A zone that was read as a whole at that moment, and is brought up to date since."""

    copy: Copy
    read_at: datetime


class UpdateBackend:
    """Implements `catalyst_sdk.dns.DnsBackend`."""

    def __init__(self, line: Line, settings: Settings, clock: Clock) -> None:
        self._line = line
        self._settings = settings
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def info(self) -> BackendInfo:
        """What this backend is."""
        # BIND and Knot take the keys of other zones too; PowerDNS 4.7 says yes to them and does nothing.
        return BackendInfo(PROVIDER, SOFTWARE, _MOST, dns_rules.RECORD_TYPES - {"CDS", "CDNSKEY"})

    async def probe(self) -> frozenset[Capability]:
        """What the server did with a scratch zone; without control, what it says to questions about `probe_zone`."""
        if self._settings.control is None:
            zone = self._settings.probe_zone
            return await self._probe(zone) if zone else frozenset()
        spec = ZoneSpec(SCRATCH, ("ns.invalid.",), PROVIDER, signed=self._settings.is_signing)
        async with self._turn(SCRATCH):
            await self._create(spec)
            try:
                return await self._probe(SCRATCH) | {Capability.ZONE_LIFECYCLE}
            finally:
                await self._remove(SCRATCH)

    async def get_zone(self, *, zone: str) -> ZoneState | None:
        """The zone, or None."""
        async with self._turn(zone):
            held = await self._read(zone)
            return None if held is None or self._is_vacant(held) else held.state()

    async def create_zone(self, *, spec: ZoneSpec) -> ZoneState:
        """Make the zone, signed, in one step."""
        async with self._turn(spec.name):
            return await self._create(spec)

    async def apply(
        self, *, zone: str, changes: tuple[Change, ...], revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes or none, by one update."""
        async with self._turn(zone):
            for attempt in range(_TRIES + 1):
                # Where nobody expects a state, what is remembered will do: the update asks whether it still is so. But it
                # refuses nothing, and settles nothing without an update.
                is_fresh = expect is not None or attempt > 0
                held = await self._expected(zone, expect) if is_fresh else self._remembered(zone)
                if held is None:
                    continue
                try:
                    faults = _faults(zone, changes)
                    records, touched = dns_rules.changed_records(zone, held.records, changes, faults, revision=revision)
                except Permanent:
                    if is_fresh:
                        raise
                    continue
                if is_fresh and not touched:
                    return held.state()
                if touched and await self._update(held, records, touched):
                    return (await self._written(zone, records, touched)).state()
                if expect is not None:
                    raise _conflict(zone)
            raise Temporary(f"{zone} is changed by others all the time", provider=PROVIDER)

    async def delete_zone(self, *, zone: str, owner: str, expect: str | None = None) -> None:
        """Take the zone away; one that was prepared for us is emptied."""
        async with self._turn(zone):
            for _ in range(_TRIES):
                held = await self._read(zone)
                if held is None or self._is_vacant(held):
                    return
                if held.owner != owner:
                    raise _foreign(zone)
                _unchanged(held, expect)
                # Also where the zone goes as a whole: nobody who changed it meanwhile is overlooked.
                kept = _bare(held) if self._settings.control is None else held.records
                if await self._update(held, kept, held.records.keys() - kept.keys()):
                    await self._gone(held, kept)
                    return
            raise _conflict(zone)

    async def _gone(self, held: Held, kept: Mapping[Key, RecordSet]) -> None:
        if self._settings.control is None:
            await self._written(held.name, kept, held.records.keys() - kept.keys())
        else:
            await self._remove(held.name)

    async def dnssec(
        self, *, zone: str, op: KeyOp, tag: int | None = None, revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """Keys are the server's own affair: only what is so already succeeds."""
        async with self._turn(zone):
            held = await self._expected(zone, expect)
        if op is (KeyOp.ENABLE if held.keys else KeyOp.DISABLE):
            return held.state()
        raise NotSupported(
            Capability.KEYS, provider=PROVIDER, user_action="change keys with the server's own tools and policy"
        )

    async def _create(self, spec: ZoneSpec) -> ZoneState:
        records = dns_rules.new_records(spec, Faults(PROVIDER))
        held = await self._read(spec.name)
        if held is None and self._settings.control is not None:
            if spec.signed and not self._settings.is_signing:
                raise NotSupported(
                    "dnssec", provider=PROVIDER, user_action="name a `signing_policy`, or wish no DNSSEC"
                )
            held = await self._made(spec, records)
        if held is None:
            raise NotSupported(
                "zone_lifecycle",
                f"the server has no zone {spec.name}, and no update can make one",
                provider=PROVIDER,
                user_action="let the server's operator prepare the zone, or give the plugin `control`",
            )
        if self._is_vacant(held):
            held = await self._filled(held, spec, records)
        if held.owner != spec.owner:
            raise _foreign(spec.name)
        return (await self._settled(spec)).state()

    async def _made(self, spec: ZoneSpec, records: Mapping[Key, RecordSet]) -> Held | None:
        control, folders = self._settings.control, self._settings.folders
        assert control is not None
        assert folders is not None
        text = zones.zone_file(records, serial=int(self._clock.now().timestamp()), turn=_drawn())
        folder = folders.make(spec.name, text)
        if await control.add(spec.name, folder, signed=spec.signed):
            folders.clear(spec.name, but=folder)
        return await self._appeared(spec.name)

    async def _filled(self, held: Held, spec: ZoneSpec, records: Mapping[Key, RecordSet]) -> Held:
        """A prepared zone with all that was wished, if nobody was quicker."""
        if spec.signed and not held.keys:
            raise NotSupported("dnssec", provider=PROVIDER, user_action="let the server's operator sign the zone")
        touched = {key for key in {*records, *held.records} if zones.differs(records.get(key), held.records.get(key))}
        if await self._update(held, records, touched):
            return await self._written(spec.name, records, touched)
        return await self._expected(spec.name, None)

    async def _remove(self, zone: str) -> None:
        control, folders = self._settings.control, self._settings.folders
        assert control is not None
        assert folders is not None
        await control.delete(zone)
        self._known.pop(zone, None)
        if await control.has(zone):
            raise Temporary(f"the server said that {zone} is deleted, and still has it", provider=PROVIDER)
        folders.clear(zone)

    async def _update(self, held: Held, records: Mapping[Key, RecordSet], touched: Iterable[Key]) -> bool:
        """Send the one update; False where the zone is not any more as it was read."""
        message = zones.update(held, records, touched, turn=_drawn())
        try:
            await self._line.ask(message)
        except dns.exception.TooBig as error:
            raise Permanent(
                "RECORD_INVALID", "the change does not fit into one message of 65,535 octets", provider=PROVIDER,
                positions="", user_action="split it",
            ) from error  # fmt: skip
        except Unsigned as unsigned:
            raise unsigned.failure() from unsigned
        except Refusal as refusal:
            if refusal.code in _UNMET:
                return False
            raise _refused(held.name, refusal) from refusal
        return True

    async def _written(self, zone: str, records: Mapping[Key, RecordSet], touched: Iterable[Key]) -> Held:
        """The zone after an update. A server that signs beside its file shows it later, so it gets a moment."""
        missing: list[str] = []
        for _ in range(_LOOKS):
            held = await self._read(zone)
            if held is None:
                raise _no_zone(zone)
            missing = sorted(
                f"{n} {t}" for n, t in touched if zones.differs(records.get((n, t)), held.records.get((n, t)))
            )
            if not missing and held.is_settled:
                return held
            await asyncio.sleep(_LOOK_AGAIN)
        what = f"has something else: {', '.join(missing[:5])}" if missing else "has not signed all of it"
        raise Temporary(f"the server said yes, and {what}", provider=PROVIDER)

    async def _settled(self, spec: ZoneSpec) -> Held:
        """The zone, signed as a whole, where it is to be signed."""
        for look in range(_LOOKS):
            held = await self._expected(spec.name, None)
            if held.is_settled and (held.keys or not spec.signed):
                return held
            if look and look % _PATIENT == 0 and self._settings.control is not None:
                await self._settings.control.sign(spec.name)
            await asyncio.sleep(_LOOK_AGAIN)
        raise Temporary(f"the server has {spec.name}, and has not signed all of it", provider=PROVIDER)

    async def _appeared(self, zone: str) -> Held | None:
        """A zone that was just configured; the server may still be reading its file."""
        for _ in range(_LOOKS):
            try:
                if (held := await self._read(zone)) is not None:
                    return held
            except Temporary:
                pass  # SERVFAIL until it is read
            await asyncio.sleep(_LOOK_AGAIN)
        raise Temporary(f"the server took {zone}, and does not serve it", provider=PROVIDER)

    async def _expected(self, zone: str, expect: str | None) -> Held:
        held = await self._read(zone)
        if held is None or self._is_vacant(held):
            raise _no_zone(zone)
        return _unchanged(held, expect)

    async def _read(self, zone: str) -> Held | None:
        """The zone as the server has it now; None where it has none."""
        if dns_rules.check_zone_name(zone):
            return None
        try:
            return await self._transferred(zone)
        except Refusal as refusal:
            if refusal.code not in _NOT_HERE:
                raise Temporary(f"the server gives no transfer of {zone}: {refusal}", provider=PROVIDER) from refusal
            await self._check_absent(zone, _no_transfer(zone, refusal))
        except Unsigned as unsigned:
            if unsigned.code not in _NOT_HERE:
                raise unsigned.failure() from unsigned
            await self._check_absent(zone, unsigned.failure())
        return None

    async def _check_absent(self, zone: str, failure: Exception) -> None:
        """No transfer is no proof that a zone is absent: it may be refused. Raises `failure` where the zone is there."""
        self._known.pop(zone, None)
        if await self._line.is_served(zone):
            raise failure
        if self._settings.control is not None and await self._settings.control.has(zone):
            raise Temporary(f"the server is configured with {zone}, and does not serve it", provider=PROVIDER)

    def _remembered(self, zone: str) -> Held | None:
        known = self._known.get(zone)
        return (
            known.copy.held
            if known is not None and self._is_young(known) and not self._is_vacant(known.copy.held)
            else None
        )

    def _is_young(self, known: _Known) -> bool:
        return self._clock.now() - known.read_at < _REMEMBERED

    async def _transferred(self, zone: str) -> Held:
        known = self._known.pop(zone, None)
        if known is not None and self._is_young(known):
            try:
                return await self._refreshed(zone, known)
            except Stale:
                pass  # another zone under the same name, or one whose journal does not reach back so far
        copy = Copy(zone)
        try:
            await self._line.transfer(copy, None)
        except (Stale, KeyError) as error:
            raise Temporary(f"the transfer of {zone} cannot be understood: {error}", provider=PROVIDER) from error
        self._known[zone] = _Known(copy, self._clock.now())
        return copy.held

    async def _refreshed(self, zone: str, known: _Known) -> Held:
        await self._line.transfer(known.copy, known.copy.held.serial)
        self._known[zone] = known
        return known.copy.held

    async def _probe(self, zone: str) -> frozenset[Capability]:
        """Ask for what is so, and for what is not: both with nothing to change."""
        held = await self._read(zone)
        if held is None:
            return frozenset()
        found = {Capability.AXFR}
        if held.keys:
            found.add(Capability.DNSSEC)
        if held.shows_cds:
            found.add(Capability.CDS)
        if await self._is_so(zone, is_there=True) and not await self._is_so(zone, is_there=False):
            found |= {Capability.ATOMIC_BATCH, Capability.COMPARE_AND_SWAP}
        return frozenset(found)

    async def _is_so(self, zone: str, *, is_there: bool) -> bool:
        message = dns.update.UpdateMessage(zone)
        message.present(zone, "SOA") if is_there else message.absent(zone, "SOA")
        try:
            await self._line.ask(message)
        except (Refusal, Unsigned):
            return False
        return True

    def _is_vacant(self, held: Held) -> bool:
        return not held.owner and self._settings.is_prepared(held.name)

    def _turn(self, zone: str) -> asyncio.Lock:
        return self._turns.setdefault(zone, asyncio.Lock())


def _faults(zone: str, changes: tuple[Change, ...]) -> Faults:
    faults = Faults(PROVIDER)
    for position, change in enumerate(changes):
        if change.name == dns_rules.below(TURN_MARK, zone):
            faults.add(position, f"{change.name} is a mark, which the server writes")
    return faults


def _bare(held: Held) -> dict[Key, RecordSet]:
    """What the operator had prepared: SOA and NS, and the addresses that these need."""
    hosts = set(held.records[held.name, "NS"].records)
    top = {key: r for key, r in held.records.items() if key[0] == held.name and key[1] in ("SOA", "NS")}
    return top | {key: r for key, r in held.records.items() if key[0] in hosts and key[1] in ("A", "AAAA")}


def _drawn() -> str:
    # Lower case: PowerDNS compares texts without regard to it.
    return secrets.token_hex(8)


def _foreign(zone: str) -> Permanent:
    return Permanent(
        "FOREIGN_ZONE",
        f"{zone} carries the mark of another owner, or none",
        provider=PROVIDER,
        user_action="release the zone where it was made, or choose another name",
    )


def _no_zone(zone: str) -> Permanent:
    return Permanent("ZONE_ABSENT", f"there is no zone {zone}", provider=PROVIDER)


def _conflict(zone: str, **metadata: str) -> Permanent:
    return Permanent("CONFLICT", f"{zone} was changed meanwhile", provider=PROVIDER, **metadata)


def _unchanged(held: Held, expect: str | None) -> Held:
    if expect is not None and expect != held.etag:
        raise _conflict(held.name, found=held.etag)
    return held


def _no_transfer(zone: str, refusal: Refusal) -> Permanent:
    return Permanent(
        "CREDENTIALS_REJECTED",
        f"the server has {zone}, and does not let our key transfer it: {refusal}",
        provider=PROVIDER,
        provider_code=str(refusal),
        user_action="let the key transfer the zone: BIND allow-transfer, Knot acl, PowerDNS master_tsig_key_ids",
    )


def _refused(zone: str, refusal: Refusal) -> Exception:
    told: Any = {"provider": PROVIDER, "provider_code": str(refusal)}
    if refusal.code == dns.rcode.NOTAUTH:
        return Permanent("ZONE_ABSENT", f"the server is no primary of {zone}", **told)
    if refusal.code in (dns.rcode.REFUSED, dns.rcode.FORMERR, dns.rcode.NOTZONE):
        action = "correct the records, or let the key change them in the server's policy"
        return Permanent(
            "RECORD_INVALID",
            f"the server refused the change of {zone}: {refusal}",
            positions="",
            user_action=action,
            **told,
        )
    if refusal.code == dns.rcode.NOTIMP:
        return NotSupported("atomic_batch", "the server takes no dynamic updates", **told)
    return Temporary(f"the server failed to change {zone}: {refusal}", **told)


@hookimpl
def catalyst_plugin(context: PluginContext) -> UpdateBackend:
    config = context.config
    host, _, port = config["server"].rpartition(":")

    async def keys() -> dns.tsig.Key:
        secret = await context.secrets.resolve(config["key"])
        try:
            return dns.tsig.Key(
                dns.name.from_text(config["key_name"]), secret.reveal(), config.get("key_algorithm", "hmac-sha256")
            )
        except ValueError as error:
            # From None: the message of the codec quotes what it could not read.
            raise Permanent(
                "CREDENTIALS_REJECTED", "the key is not base64", provider=PROVIDER, user_action="seal the key as base64"
            ) from error

    line = Line(host.strip("[]"), int(port), keys, float(config.get("try_seconds", 4)))
    return UpdateBackend(line, _settings(context), context.clock)


def _settings(context: PluginContext) -> Settings:
    config = context.config
    kind, policy = config.get("control"), config.get("signing_policy")
    control: Control | None = None
    if kind == "bind":
        control = Bind(config["control_at"], config["key_name"].rstrip("."), policy)
    elif kind == "knot":
        control = Knot(config["control_at"], config.get("template", "default"), policy)
    return Settings(
        control=control,
        folders=Folders(Path(config["zone_folder"])) if control else None,
        is_signing=policy is not None,
        prepared=tuple(config.get("prepared_zones", ())),
        probe_zone=config.get("probe_zone", ""),
    )
