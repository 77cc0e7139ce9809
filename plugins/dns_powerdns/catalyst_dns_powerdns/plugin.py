"""The backend: zones on a PowerDNS Authoritative Server.

What the server does not do itself is done here
  one writer      changes of one zone follow one another: of eight at once, seven would fail with 500;
  compare         there is no ETag: read, compare, write, read back. Between processes only a lease keeps others out, so
                  compare-and-swap is not among the capabilities;
  judge first     the server takes times to live that it cannot serve, underscores in host names, one record set twice;
  seen serial     a change of keys does not move the serial, so the revision mark is written with it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from catalyst_sdk import NotSupported, Permanent, SecretRef, Temporary, dns_rules, hookimpl
from catalyst_sdk.context import PluginContext
from catalyst_sdk.dns import REVISION_MARK, BackendInfo, Capability, Change, KeyOp, RecordSet, ZoneSpec, ZoneState
from catalyst_sdk.dns_rules import Faults, Key

from . import keys, lua, places, told, zones
from .api import PROVIDER, Answer, Api, misunderstood
from .zones import Held, zone_id

SOFTWARE = "PowerDNS Authoritative Server"
SCRATCH = "catalyst-probe.invalid."
"""A zone that is made and deleted to see what the server can do; nobody else's name ends so (RFC 6761, section 6.4)."""
PLACE = f"place.{SCRATCH}"
_MOST = frozenset(
    {Capability.ZONE_LIFECYCLE, Capability.DNSSEC, Capability.KEYS, Capability.CDS, Capability.ATOMIC_BATCH,
     Capability.METADATA}
)  # fmt: skip
_ALL = _MOST | {Capability.LUA, Capability.GEO, Capability.SHARED_KEYS}
_SIGNING = frozenset({Capability.DNSSEC, Capability.KEYS, Capability.CDS})
_CDS = {"PUBLISH-CDS": "2", "PUBLISH-CDNSKEY": "1"}
_ON = ("yes", "true", "1", "on")
"""Values with which a setting of the server's is on."""
_RENOUNCED = "0"
"""Value of both with which the server shows the sentinels of RFC 8078 that ask for deletion."""
_LOOKS, _LOOK_AGAIN = 20, 0.05
"""How often, and after how many seconds, somebody else's half-made zone is looked at before it is completed."""


class PowerDnsBackend:
    """Implements `catalyst_sdk.dns.DnsBackend`."""

    def __init__(self, api: Api, served_at: tuple[str, int] | None = None) -> None:
        """`served_at`: where the server answers DNS, if that is not where its settings say it listens."""
        self._api = api
        self._served_at = served_at
        self._told_by: told.NameServer | None = None
        self._has_looked = False
        self._reader = zones.Reader()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def info(self) -> BackendInfo:
        """What this backend is."""
        # It takes a LOC in one spelling only, which is not the one in which we compare.
        return BackendInfo(PROVIDER, SOFTWARE, _ALL, dns_rules.RECORD_TYPES - {"LOC"} | {lua.TYPE})

    async def probe(self) -> frozenset[Capability]:
        """What the server did with a scratch zone, and what it says of itself."""
        settings = await self._settings()
        self._told_by, self._has_looked = told.found(settings, self._served_at, self._api.url), True
        # A server takes LUA records whether or not it evaluates them: it then says NXDOMAIN.
        has_lua = settings.get("enable-lua-records", "no") in lua.ON
        found = await self._with_scratch_zone(settings if has_lua else {})
        found |= {Capability.LUA} if has_lua else frozenset()
        # Without it the server takes the keys of others, and does not answer with them.
        is_shared = settings.get("direct-dnskey", "no") in _ON and Capability.DNSSEC in found
        return found | {Capability.SHARED_KEYS} if is_shared else found

    async def _settings(self) -> Mapping[str, str]:
        """What the server says of itself, where it does."""
        answer = await self._api.call("GET", "/config", expected=(200, 403, 404))
        found = answer.body if answer.status == 200 and isinstance(answer.body, list) else []
        return {str(one.get("name")): str(one.get("value")) for one in found if isinstance(one, dict)}

    async def _with_scratch_zone(self, settings: Mapping[str, str]) -> frozenset[Capability]:
        """`settings`: of a server that evaluates lines; empty for another one."""
        async with self._turn(SCRATCH):
            spec = ZoneSpec(
                SCRATCH, (f"ns.{SCRATCH}",), PROVIDER, (RecordSet(f"ns.{SCRATCH}", "A", 60, ("192.0.2.1",)),)
            )
            records = dns_rules.new_records(spec, Faults(PROVIDER))
            if places.may_be_known(settings):
                records[PLACE, lua.TYPE] = RecordSet(PLACE, lua.TYPE, 1, (places.PROBE,))
            body = zones.to_body(spec, records)
            # 409: left by a probe that died, or made by another process at this moment; it tells as much.
            made = await self._api.call("POST", "/zones", body, expected=(201, 409, 422))
            try:
                return await self._signs(made) | await self._knows_places(settings)
            finally:
                await self._api.call("DELETE", _path(SCRATCH), expected=(204, 404))

    async def _signs(self, made: Answer) -> frozenset[Capability]:
        """What the scratch zone came to; everything that every server can do is among it."""
        if made.status == 422 and not _is_unsigned_server(made):
            raise misunderstood(made.text)
        if made.status == 422 or not await self._keys(SCRATCH):
            return _MOST - _SIGNING
        is_shown = [await self._show(SCRATCH, kind, _CDS[kind], expected=(200, 422)) for kind in _CDS]
        return _MOST if all(is_shown) else _MOST - {Capability.CDS}

    async def _knows_places(self, settings: Mapping[str, str]) -> frozenset[Capability]:
        if not places.may_be_known(settings):
            return frozenset()
        host, port = self._served_at or places.listens_at(settings, self._api.url)
        return frozenset({Capability.GEO}) if await places.are_known(PLACE, host, port) else frozenset()

    async def get_zone(self, *, zone: str) -> ZoneState | None:
        """The zone, or None."""
        held = await self._read(zone)
        return None if held is None or held.is_half_made else held.state()

    async def versions(self) -> Mapping[str, str]:
        """Serial and account of each zone; without what would have the server look at keys (ten times as slow)."""
        answer = await self._api.call("GET", "/zones?dnssec=false")
        try:
            return {str(zone["name"]): f"{zone['serial']} {zone['account']}" for zone in answer.body}
        except (KeyError, TypeError) as error:
            raise misunderstood(f"a list of zones without {error}") from error

    async def create_zone(self, *, spec: ZoneSpec) -> ZoneState:
        """Make the zone, signed, in one call."""
        records = lua.new_records(spec, Faults(PROVIDER))
        async with self._turn(spec.name):
            # Its answer without the records: the server would read them all back, to say what it was told.
            body = zones.to_body(spec, records)
            answer = await self._api.call("POST", "/zones?rrsets=false", body, expected=(201, 409, 422))
            if answer.status == 422:
                await self._refuse_new(spec, answer)
            if answer.status == 409:
                return await self._already(spec, records)
            found = await self._new_keys(spec)
            # A key shows its CDS where the server's own default publishes it already: two calls less for each zone.
            if spec.signed and not all("cds" in key for key in found):
                await self._publish(spec.name)
            return _understood(zones.from_making, self._reader, answer.body, records, found).state()

    async def apply(
        self, *, zone: str, changes: tuple[Change, ...], revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """All changes or none, by one PATCH."""
        async with self._turn(zone):
            held = await self._expected(zone, expect)
            records, touched = lua.changed_records(zone, held.records, changes, Faults(PROVIDER), revision=revision)
            if not touched:
                return held.state()
            return (await self._write(held, records, touched, changes)).state()

    async def delete_zone(self, *, zone: str, owner: str, expect: str | None = None) -> None:
        """Take the zone away."""
        async with self._turn(zone):
            held = await self._read(zone)
            if held is None:
                return
            _unchanged(_owned(held, owner), expect)
            await self._api.call("DELETE", _path(zone), expected=(204, 404))
            if await self._raw(zone) is not None:
                raise Temporary(f"PowerDNS said that {zone} is deleted, and still has it", provider=PROVIDER)

    async def dnssec(
        self, *, zone: str, op: KeyOp, tag: int | None = None, revision: int | None = None, expect: str | None = None
    ) -> ZoneState:
        """Change the keys."""
        async with self._turn(zone):
            held = await self._expected(zone, expect)
            if op is KeyOp.RENOUNCE or (op is KeyOp.ENABLE and held.keys):
                return await self._vouching(held, revision, renounced=op is KeyOp.RENOUNCE)
            todo = keys.calls(held.keys, op, tag=tag)
            if not todo:
                return held.state()
            keys.check_chain(held.keys, op, tag=tag, ds_tags=await self._ds_tags(zone))
            # The serial first: whoever dies after it moves it again, and who dies before has changed nothing.
            await self._move_serial(held, revision)
            await self._carry_out(held, op, todo)
            after = await self._expected(zone, None)
            if keys.calls(after.keys, op, tag=tag):
                raise Temporary(f"PowerDNS said yes to {op}, and the keys of {zone} are as before", provider=PROVIDER)
            return after.state()

    async def _vouching(self, held: Held, revision: int | None, *, renounced: bool) -> ZoneState:
        """Show the parent the keys, or what asks it to forget them."""
        answers = [await self._api.call("GET", f"{_path(held.name)}/metadata/{kind}") for kind in _CDS]
        shown = [answer.body.get("metadata") == [_RENOUNCED] for answer in answers]
        if not held.keys or (all(shown) if renounced else not any(shown)):
            return held.state()
        await self._move_serial(held, revision)
        for kind, value in _CDS.items():
            await self._show(held.name, kind, _RENOUNCED if renounced else value, expected=(200,))
        return (await self._expected(held.name, None)).state()

    async def _carry_out(self, held: Held, op: KeyOp, todo: tuple[keys.Call, ...]) -> None:
        path = _path(held.name)
        if op is KeyOp.DISABLE:  # told before it is done, or it would look like a zone whose key was never made
            await self._api.call(
                "PUT", path, {"account": held.account.replace(zones.SIGNED, zones.PLAIN)}, expected=(204,)
            )
        for call in todo:
            await self._api.call(
                call.method, path + call.path, call.body, expected=(200, 201, 204, 404), again=not call.once
            )
        if op is KeyOp.ENABLE:
            await self._api.call(
                "PUT", path, {"account": held.account.replace(zones.PLAIN, zones.SIGNED)}, expected=(204,)
            )
            await self._publish(held.name)

    async def _already(self, spec: ZoneSpec, records: Mapping[Key, RecordSet]) -> ZoneState:
        """The zone that is there, if it is ours; completed, where its making was cut short."""
        held = await self._settled(spec)
        if held.lacks_key:
            await self._api.call("PUT", _path(spec.name), {"dnssec": True, "nsec3param": zones.NSEC3}, expected=(204,))
        if held.is_half_made:
            await self._write(held, records, frozenset(records), ())
        if held.keys or held.lacks_key:
            await self._publish(spec.name)
        return (await self._expected(spec.name, None)).state() if held.is_half_made or held.lacks_key else held.state()

    async def _settled(self, spec: ZoneSpec) -> Held:
        """The zone that is there, if it is ours; a call that was cut off may still be making it, so it gets time."""
        looks = 0
        while True:
            held = await self._read(spec.name)
            if held is None:
                raise Temporary(f"{spec.name} was deleted at this moment", provider=PROVIDER)
            if looks == _LOOKS or not (_owned(held, spec.owner).is_half_made or held.lacks_key):
                return held
            looks += 1
            await asyncio.sleep(_LOOK_AGAIN)

    async def _refuse_new(self, spec: ZoneSpec, answer: Answer) -> None:
        if not _is_unsigned_server(answer):
            raise Permanent("RECORD_INVALID", f"PowerDNS refused: {answer.text}", provider=PROVIDER, positions="")
        # It could not sign, and has kept the zone all the same.
        held = await self._read(spec.name)
        if held is not None and held.is_of(spec.owner):
            await self._api.call("DELETE", _path(spec.name), expected=(204, 404))
        action = "switch DNSSEC on in the server's backend, for instance gsqlite3-dnssec=yes"
        raise NotSupported("dnssec", provider=PROVIDER, user_action=action)

    async def _write(
        self, held: Held, records: Mapping[Key, RecordSet], touched: frozenset[Key], changes: tuple[Change, ...]
    ) -> Held:
        """One PATCH, and the zone as it is after it: that the server said yes is no proof. No change of records touches the
        keys, so that these are as they were just read."""
        try:
            await self._api.call("PATCH", _path(held.name), zones.to_patch(records, touched), expected=(204,))
        except Permanent as refused:
            refused.metadata["positions"] = ",".join(
                str(n) for n, change in enumerate(changes) if change.name.rstrip(".") in refused.message
            )
            raise
        raw = await self._raw(held.name)
        if raw is None:
            raise Permanent("ZONE_ABSENT", f"there is no zone {held.name}", provider=PROVIDER)
        after = replace(self._held(raw, ()), keys=held.keys)
        missing = sorted(
            f"{n} {t}" for n, t in touched if zones.differs(records.get((n, t)), after.records.get((n, t)))
        )
        if missing:
            raise Temporary(f"PowerDNS said yes, and has something else: {', '.join(missing[:5])}", provider=PROVIDER)
        return after

    async def _move_serial(self, held: Held, revision: int | None) -> None:
        number = held.state().revision if revision is None else revision
        records, _ = dns_rules.changed_records(held.name, held.records, (), Faults(PROVIDER), revision=number)
        mark = (dns_rules.below(REVISION_MARK, held.name), "TXT")
        await self._api.call("PATCH", _path(held.name), zones.to_patch(records, {mark}), expected=(204,))

    async def _publish(self, zone: str) -> None:
        """Show CDS and CDNSKEY (RFC 7344)."""
        for kind in _CDS:
            await self._show(zone, kind, _CDS[kind], expected=(200,))

    async def _show(self, zone: str, kind: str, value: str, *, expected: tuple[int, ...]) -> bool:
        body = {"kind": kind, "metadata": [value]}
        answer = await self._api.call("PUT", f"{_path(zone)}/metadata/{kind}", body, expected=expected)
        return answer.status == 200

    async def _expected(self, zone: str, expect: str | None) -> Held:
        held = await self._read(zone)
        if held is None or held.is_half_made:
            raise Permanent("ZONE_ABSENT", f"there is no zone {zone}", provider=PROVIDER)
        return _unchanged(held, expect)

    async def _read(self, zone: str) -> Held | None:
        raw = await self._raw(zone)
        return None if raw is None else self._held(raw, await self._keys(zone))

    def _held(self, zone: Any, found: Any) -> Held:
        return _understood(zones.from_body, self._reader, zone, found)

    async def _raw(self, zone: str) -> Any:
        if dns_rules.check_zone_name(zone):
            return None
        answer = await self._api.call("GET", _path(zone), expected=(200, 404, 422))
        if answer.status == 200:
            return answer.body
        # A wrong address says 404 too. Only the list proves that a zone is not there.
        listed = await self._api.call("GET", f"/zones?zone={zone_id(zone)}")
        if listed.body != []:
            raise misunderstood(f"{zone} is listed, and answered with {answer.status}")
        return None

    async def _keys(self, zone: str) -> Any:
        return (await self._api.call("GET", f"{_path(zone)}/cryptokeys")).body

    async def _new_keys(self, spec: ZoneSpec) -> Any:
        """Keys of a zone that was made this moment."""
        if not self._has_looked:
            self._told_by, self._has_looked = told.found(await self._settings(), self._served_at, self._api.url), True
        try:
            heard = await self._told_by.keys(spec.name) if self._told_by and spec.signed else None
        except OSError:  # a time-out too
            heard = self._told_by = None  # until the next probe: nobody there, or nobody who lets us
        return await self._keys(spec.name) if heard is None else heard

    async def _ds_tags(self, zone: str) -> frozenset[int]:
        """Tags of the DS records that the parent has for this zone, as far as this server has the parent."""
        above = zone
        while (above := above.partition(".")[2] or ".") != zone:
            query = f"?rrset_name={zone}&rrset_type=DS"
            answer = await self._api.call("GET", _path(above) + query, expected=(200, 404, 422))
            if answer.status == 200:
                found = self._held(answer.body, ()).records.get((zone, "DS"))
                return frozenset(int(text.split()[0]) for text in found.records) if found else frozenset()
            if above == ".":
                break
        return frozenset()

    def _turn(self, zone: str) -> asyncio.Lock:
        return self._turns.setdefault(zone, asyncio.Lock())


def _path(zone: str) -> str:
    return f"/zones/{zone_id(zone)}"


def _understood(read: Callable[..., Held], *answers: Any) -> Held:
    try:
        return read(*answers)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise misunderstood(f"a zone without {error}") from error


def _is_unsigned_server(answer: Answer) -> bool:
    return "DNSSEC" in answer.text and "secure" in answer.text


def _owned(held: Held, owner: str) -> Held:
    if held.owner != owner and not (held.is_half_made and held.is_of(owner)):
        raise Permanent(
            "FOREIGN_ZONE",
            f"{held.name} carries the mark of another owner, or none",
            provider=PROVIDER,
            user_action="release the zone where it was made, or choose another name",
        )
    return held


def _unchanged(held: Held, expect: str | None) -> Held:
    if expect is not None and expect != held.state().etag:
        raise Permanent("CONFLICT", f"{held.name} was changed meanwhile", provider=PROVIDER, found=held.state().etag)
    return held


@hookimpl
def catalyst_plugin(context: PluginContext) -> PowerDnsBackend:
    config = context.config

    async def headers() -> dict[str, str]:
        named = {"X-API-Key": config["api_key"], "Authorization": config.get("authorization")}
        return {name: await _revealed(context, ref) for name, ref in named.items() if ref}

    host, _, port = str(config.get("server", "")).rpartition(":")
    served_at = (host.strip("[]"), int(port)) if host else None
    return PowerDnsBackend(Api(config["url"], headers, float(config.get("try_seconds", 5))), served_at)


async def _revealed(context: PluginContext, ref: SecretRef) -> str:
    return (await context.secrets.resolve(ref)).reveal()
