"""Conformance of DNS backends. An author subclasses `DnsBackendSuite` and provides one fixture, `plugin`.

class TestMine(DnsBackendSuite):
    @pytest.fixture
    async def plugin(self) -> AsyncIterator[DnsBackend]: ...

Each test works in a zone of its own below `parent`. What a server cannot do is skipped by what `probe` says.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any
from uuid import uuid4

import pytest
from catalyst_sdk import Permanent
from catalyst_sdk.dns import (
    OWNER_MARK,
    REVISION_MARK,
    Capability,
    Change,
    DnsBackend,
    KeyOp,
    RecordSet,
    ZoneSpec,
    ZoneState,
)

from .dns_backend_cases import ACCEPTED, ADDRESS, DS, OTHERS_KEYS, REFUSED

OWNER = "organizations/suite"
STRANGER = "organizations/stranger"
MANY = 300


class DnsBackendSuite:
    """The tests that every DNS backend passes, ours or a stranger's."""

    parent = "suite.example."
    """Zones are made below it."""
    name_servers = ("ns1.hosts.example.", "ns2.hosts.example.")

    @pytest.fixture
    def prepare(self) -> Callable[[str], None]:
        """Told each zone before its test. A backend that finds its zones where others have made them has one made here."""
        return lambda zone: None

    @pytest.fixture
    async def spec(self, plugin: DnsBackend, prepare: Callable[[str], None]) -> ZoneSpec:
        """A zone of this test's own, signed where the backend claims that it can."""
        name = f"z{uuid4().hex[:10]}.{self.parent}"
        prepare(name)
        records = (RecordSet(f"console.{name}", "A", 60, ADDRESS),)
        signed = Capability.DNSSEC in (await plugin.info()).capabilities
        return ZoneSpec(name, self.name_servers, OWNER, records, ttl=60, signed=signed)

    @pytest.fixture
    async def zone(self, plugin: DnsBackend, spec: ZoneSpec) -> ZoneState:
        """That zone, made."""
        return await plugin.create_zone(spec=spec)

    async def test_the_server_can_do_no_more_than_the_backend_claims(self, plugin: DnsBackend) -> None:
        about = await plugin.info()
        assert await plugin.probe() <= about.capabilities
        assert about.record_types >= {"A", "AAAA", "CNAME", "MX", "NS", "TXT"}
        assert about.name

    async def test_a_zone_that_nobody_made_is_none(self, plugin: DnsBackend, spec: ZoneSpec) -> None:
        assert await plugin.get_zone(zone=spec.name) is None

    async def test_one_call_makes_marks_soa_servers_records_and_key(self, plugin: DnsBackend, spec: ZoneSpec) -> None:
        made = await plugin.create_zone(spec=replace(spec, revision=7))
        assert (made.name, made.owner, made.revision) == (spec.name, OWNER, 7)
        assert data(made, spec.name, "NS") == set(self.name_servers)
        assert data(made, f"console.{spec.name}", "A") == set(ADDRESS)
        assert data(made, f"{OWNER_MARK}.{spec.name}", "TXT") == {f'"owner={OWNER}"'}
        assert data(made, f"{REVISION_MARK}.{spec.name}", "TXT") == {'"gen=7"'}
        assert any(text.startswith(f"{self.name_servers[0]} ") for text in data(made, spec.name, "SOA"))
        if Capability.DNSSEC in await plugin.probe():
            assert made.signed
            assert [(key.algorithm, key.active, len(key.ds)) for key in made.keys] == [(13, True, 1)]
        assert await plugin.get_zone(zone=spec.name) == made

    async def test_a_zone_may_be_left_unsigned(self, plugin: DnsBackend, spec: ZoneSpec) -> None:
        await needed(plugin, Capability.ZONE_LIFECYCLE)  # who finds a zone there finds it signed, or not
        made = await plugin.create_zone(spec=replace(spec, signed=False))
        assert (made.signed, made.keys) == (False, ())

    async def test_results_are_plain_values(self, zone: ZoneState) -> None:
        assert json.loads(json.dumps(asdict(zone)))["etag"] == zone.etag

    async def test_making_a_zone_again_changes_nothing(
        self, plugin: DnsBackend, spec: ZoneSpec, zone: ZoneState
    ) -> None:
        assert await plugin.create_zone(spec=spec) == zone
        other = replace(spec, record_sets=(RecordSet(f"other.{spec.name}", "A", 60, ADDRESS),))
        assert await plugin.create_zone(spec=other) == zone

    async def test_of_eight_who_make_one_zone_all_get_the_same(self, plugin: DnsBackend, spec: ZoneSpec) -> None:
        made = await asyncio.gather(*(plugin.create_zone(spec=spec) for _ in range(8)))
        assert len({state.etag for state in made}) == 1
        assert len({key.tag for state in made for key in state.keys}) <= 1

    async def test_a_zone_of_somebody_else_is_neither_taken_nor_deleted(
        self, plugin: DnsBackend, spec: ZoneSpec, zone: ZoneState
    ) -> None:
        assert await refusal(plugin.create_zone(spec=replace(spec, owner=STRANGER))) == "FOREIGN_ZONE"
        assert await refusal(plugin.delete_zone(zone=spec.name, owner=STRANGER)) == "FOREIGN_ZONE"
        assert await plugin.get_zone(zone=spec.name) == zone

    @pytest.mark.parametrize("what", ["no owner", "no name servers", "no zone name", "a record outside"])
    async def test_a_zone_that_cannot_be_is_not_made(self, plugin: DnsBackend, spec: ZoneSpec, what: str) -> None:
        bad = {
            "no owner": replace(spec, owner=""),
            "no name servers": replace(spec, name_servers=()),
            "no zone name": replace(spec, name="a b."),
            "a record outside": replace(spec, record_sets=(RecordSet("x.elsewhere.example.", "A", 60, ADDRESS),)),
        }[what]
        assert await refusal(plugin.create_zone(spec=bad)) == "RECORD_INVALID"
        assert await plugin.get_zone(zone=spec.name) is None

    @pytest.mark.parametrize("what", ACCEPTED)
    async def test_records_come_back_as_they_were_wished(self, plugin: DnsBackend, zone: ZoneState, what: str) -> None:
        label, kind, records = ACCEPTED[what]
        if kind not in (await plugin.info()).record_types:
            pytest.skip(f"{kind} records are not supported")
        name = zone.name if label == "@" else f"{label}.{zone.name}"
        state = await plugin.apply(zone=zone.name, changes=(Change(name, kind, 60, records),))
        assert data(state, name, kind) == set(records)
        assert await plugin.get_zone(zone=zone.name) == state

    async def test_what_no_zone_may_hold_is_refused_and_nothing_done(self, plugin: DnsBackend, zone: ZoneState) -> None:
        good = Change(f"good.{zone.name}", "A", 60, ADDRESS)
        found = {}
        for what, changes in REFUSED.items():
            bad = tuple(_in_zone(change, zone.name) for change in changes)
            found[what] = await refusal(plugin.apply(zone=zone.name, changes=(good, *bad)))
            assert await plugin.get_zone(zone=zone.name) == zone, what
        assert {what: reason for what, reason in found.items() if reason != "RECORD_INVALID"} == {}

    async def test_every_fault_is_named_with_its_position(self, plugin: DnsBackend, zone: ZoneState) -> None:
        changes = (
            Change(f"a.{zone.name}", "A", 60, ("192.0.2",)),
            Change(f"b.{zone.name}", "A", 60, ADDRESS),
            Change(f"c.{zone.name}", "A", -1, ADDRESS),
        )
        with pytest.raises(Permanent) as refused:
            await plugin.apply(zone=zone.name, changes=changes)
        assert (refused.value.reason, refused.value.metadata["positions"]) == ("RECORD_INVALID", "0,2")

    async def test_a_change_moves_serial_etag_and_revision(self, plugin: DnsBackend, zone: ZoneState) -> None:
        change = Change(f"a.{zone.name}", "A", 60, ADDRESS)
        after = await plugin.apply(zone=zone.name, changes=(change,), revision=zone.revision + 1)
        assert after.serial > zone.serial
        assert after.etag != zone.etag
        assert after.revision == zone.revision + 1
        assert data(after, f"{REVISION_MARK}.{zone.name}", "TXT") == {f'"gen={after.revision}"'}

    async def test_what_changes_nothing_writes_nothing(self, plugin: DnsBackend, zone: ZoneState) -> None:
        change = Change(f"a.{zone.name}", "A", 60, ("192.0.2.1", "192.0.2.2"))
        first = await plugin.apply(zone=zone.name, changes=(change,), revision=5)
        turned = replace(change, records=tuple(reversed(change.records)))
        absent = Change(f"nobody.{zone.name}", "A")
        assert await plugin.apply(zone=zone.name, changes=(turned, absent), revision=5) == first

    async def test_another_time_to_live_is_a_change(self, plugin: DnsBackend, zone: ZoneState) -> None:
        name = f"console.{zone.name}"
        state = await plugin.apply(zone=zone.name, changes=(Change(name, "A", 90, ADDRESS),))
        found = state.find(name, "A")
        assert found is not None
        assert found.ttl == 90

    @pytest.mark.parametrize("left", [1, 2])
    async def test_name_servers_at_the_top_live_as_long_as_wished(
        self, plugin: DnsBackend, zone: ZoneState, left: int
    ) -> None:
        hosts = self.name_servers[:left]
        for ttl in (300, 60):  # the first change may be one of hosts too, the second is of their time alone
            changed = await plugin.apply(zone=zone.name, changes=(Change(zone.name, "NS", ttl, hosts),), revision=ttl)
            found = changed.find(zone.name, "NS")
            assert found is not None
            assert (found.ttl, set(found.records), changed.revision) == (ttl, set(hosts), ttl)

    async def test_an_alias_takes_the_place_of_data_in_one_change(self, plugin: DnsBackend, zone: ZoneState) -> None:
        name = f"console.{zone.name}"
        to_alias = (Change(name, "A"), Change(name, "CNAME", 60, ("other.example.",)))
        state = await plugin.apply(zone=zone.name, changes=to_alias)
        assert (state.find(name, "A"), data(state, name, "CNAME")) == (None, {"other.example."})

    async def test_a_delegation_comes_and_goes_in_one_change(self, plugin: DnsBackend, zone: ZoneState) -> None:
        child, host = f"acme.{zone.name}", f"ns.acme.{zone.name}"
        given = (
            Change(child, "NS", 60, (host,)),
            Change(child, "DS", 60, DS),
            Change(host, "A", 60, ADDRESS),
        )
        state = await plugin.apply(zone=zone.name, changes=given)
        assert [data(state, change.name, change.type) for change in given] == [set(c.records) for c in given]
        gone = await plugin.apply(zone=zone.name, changes=tuple(Change(c.name, c.type) for c in given))
        assert all(gone.find(change.name, change.type) is None for change in given)

    async def test_hundreds_of_records_go_in_one_change(self, plugin: DnsBackend, zone: ZoneState) -> None:
        changes = tuple(Change(f"n{n}.{zone.name}", "A", 60, (f"192.0.2.{n % 250}",)) for n in range(MANY))
        await plugin.apply(zone=zone.name, changes=changes)
        state = await plugin.get_zone(zone=zone.name)
        assert state is not None
        assert [c for c in changes if data(state, c.name, c.type) != set(c.records)] == []

    async def test_a_writer_who_is_late_changes_nothing(self, plugin: DnsBackend, zone: ZoneState) -> None:
        await needed(plugin, Capability.COMPARE_AND_SWAP)
        mine, late = (Change(f"{who}.{zone.name}", "A", 60, ADDRESS) for who in ("mine", "late"))
        after = await plugin.apply(zone=zone.name, changes=(mine,), expect=zone.etag)
        assert await refusal(plugin.apply(zone=zone.name, changes=(late,), expect=zone.etag)) == "CONFLICT"
        assert await refusal(plugin.delete_zone(zone=zone.name, owner=OWNER, expect=zone.etag)) == "CONFLICT"
        assert await plugin.get_zone(zone=zone.name) == after

    async def test_of_eight_writers_who_expect_the_same_one_wins(self, plugin: DnsBackend, zone: ZoneState) -> None:
        await needed(plugin, Capability.COMPARE_AND_SWAP)
        changes = [(Change(f"w{n}.{zone.name}", "A", 60, ADDRESS),) for n in range(8)]
        calls = (refusal(plugin.apply(zone=zone.name, changes=c, expect=zone.etag)) for c in changes)
        assert sorted(await asyncio.gather(*calls)) == ["", *["CONFLICT"] * 7]

    async def test_a_zone_that_is_not_there_cannot_be_changed(self, plugin: DnsBackend, spec: ZoneSpec) -> None:
        change = Change(f"a.{spec.name}", "A", 60, ADDRESS)
        assert await refusal(plugin.apply(zone=spec.name, changes=(change,))) == "ZONE_ABSENT"

    async def test_deleting_twice_is_fine_and_a_new_zone_is_another_one(
        self, plugin: DnsBackend, spec: ZoneSpec, zone: ZoneState
    ) -> None:
        for _ in range(2):
            await plugin.delete_zone(zone=zone.name, owner=OWNER)
        assert await plugin.get_zone(zone=zone.name) is None
        again = await plugin.create_zone(spec=spec)
        assert again.etag != zone.etag, "a zone that was made anew has the etag of the one that was deleted"
        await needed(plugin, Capability.ZONE_LIFECYCLE)  # what was only emptied keeps its keys
        assert {key.dnskey for key in again.keys}.isdisjoint(key.dnskey for key in zone.keys)

    async def test_a_key_is_rolled_step_by_step_and_each_step_may_be_repeated(
        self, plugin: DnsBackend, zone: ZoneState
    ) -> None:
        await needed(plugin, Capability.KEYS)
        (old,) = zone.keys
        published = await self._twice(plugin, zone.name, KeyOp.PUBLISH)
        (new,) = (key for key in published.keys if key.tag != old.tag)
        assert [key.active for key in (old, new)] == [True, False]
        active = await self._twice(plugin, zone.name, KeyOp.ACTIVATE, new.tag)
        assert {key.tag: key.active for key in active.keys} == {old.tag: False, new.tag: True}
        retired = await self._twice(plugin, zone.name, KeyOp.RETIRE)
        assert [(key.tag, key.ds) for key in retired.keys] == [(new.tag, new.ds)]
        assert retired.serial > active.serial > published.serial > zone.serial

    async def test_a_zone_is_signed_and_unsigned_later(self, plugin: DnsBackend, spec: ZoneSpec) -> None:
        await needed(plugin, Capability.KEYS)
        await plugin.create_zone(spec=replace(spec, signed=False))
        enabled = await self._twice(plugin, spec.name, KeyOp.ENABLE)
        assert (enabled.signed, len(enabled.keys)) == (True, 1)
        disabled = await self._twice(plugin, spec.name, KeyOp.DISABLE)
        assert (disabled.signed, disabled.keys) == (False, ())

    async def test_keys_that_are_renounced_go_on_signing_and_the_serial_moves_once(
        self, plugin: DnsBackend, zone: ZoneState
    ) -> None:
        await needed(plugin, Capability.KEYS)
        await needed(plugin, Capability.CDS)
        renounced = await self._twice(plugin, zone.name, KeyOp.RENOUNCE)
        assert (renounced.keys, renounced.signed) == (zone.keys, True)
        shown = await self._twice(plugin, zone.name, KeyOp.ENABLE)
        assert shown.keys == zone.keys
        assert shown.serial > renounced.serial > zone.serial

    async def test_keys_of_others_stand_beside_its_own_and_go_again(self, plugin: DnsBackend, zone: ZoneState) -> None:
        await needed(plugin, Capability.SHARED_KEYS)
        shared = await plugin.apply(zone=zone.name, changes=(Change(zone.name, "DNSKEY", 60, OTHERS_KEYS),))
        assert (data(shared, zone.name, "DNSKEY"), shared.keys) == (set(OTHERS_KEYS), zone.keys)
        assert await plugin.get_zone(zone=zone.name) == shared
        assert shared.serial > zone.serial
        below = Change(f"a.{zone.name}", "DNSKEY", 60, OTHERS_KEYS)
        assert await refusal(plugin.apply(zone=zone.name, changes=(below,))) == "RECORD_INVALID"
        alone = await plugin.apply(zone=zone.name, changes=(Change(zone.name, "DNSKEY"),))
        assert (alone.find(zone.name, "DNSKEY"), alone.keys) == (None, zone.keys)

    async def test_a_key_that_nobody_has_cannot_sign(self, plugin: DnsBackend, zone: ZoneState) -> None:
        await needed(plugin, Capability.KEYS)
        tag = (zone.keys[0].tag + 1) % 65536
        assert await refusal(plugin.dnssec(zone=zone.name, op=KeyOp.ACTIVATE, tag=tag)) == "KEY_ABSENT"

    @pytest.mark.parametrize("steps", [0, 1, 2, 4, 8, 16, 32])
    async def test_a_host_that_dies_in_any_call_finds_its_way_when_it_is_back(
        self, plugin: DnsBackend, spec: ZoneSpec, steps: int
    ) -> None:
        await cut_off(plugin.create_zone(spec=spec), steps)
        made = await plugin.create_zone(spec=spec)
        assert (made.owner, data(made, f"console.{spec.name}", "A")) == (OWNER, set(ADDRESS))
        change = Change(f"a.{spec.name}", "A", 60, ADDRESS)
        await cut_off(plugin.apply(zone=spec.name, changes=(change,), revision=2, expect=made.etag), steps)
        assert data(await self._wished(plugin, spec.name, change, revision=2), change.name, "A") == set(ADDRESS)
        await cut_off(plugin.delete_zone(zone=spec.name, owner=OWNER), steps)
        await plugin.delete_zone(zone=spec.name, owner=OWNER)
        assert await plugin.get_zone(zone=spec.name) is None

    async def _wished(self, plugin: DnsBackend, zone: str, change: Change, revision: int) -> ZoneState:
        """Read, compare, write: what a host does after an outcome that it does not know. Two tries are enough."""
        for _ in range(2):
            state = await plugin.get_zone(zone=zone)
            assert state is not None
            if state.revision == revision and data(state, change.name, change.type) == set(change.records):
                return state
            with suppress(Permanent):  # the call that was cut off may have come first
                return await plugin.apply(zone=zone, changes=(change,), revision=revision, expect=state.etag)
        raise AssertionError("the wish is not there after two tries")

    async def _twice(self, plugin: DnsBackend, zone: str, op: KeyOp, tag: int | None = None) -> ZoneState:
        first = await plugin.dnssec(zone=zone, op=op, tag=tag)
        assert await plugin.dnssec(zone=zone, op=op, tag=tag) == first
        return first


def data(state: ZoneState, name: str, kind: str) -> set[str]:
    """The records of a name and type; empty where there are none."""
    found = state.find(name, kind)
    return set(found.records) if found else set()


async def refusal(call: Awaitable[Any]) -> str:
    """The reason with which the call was refused; empty where it was not."""
    try:
        await call
    except Permanent as refused:
        return refused.reason
    return ""


async def needed(plugin: DnsBackend, capability: Capability) -> None:
    """Skip where the server cannot do it."""
    if capability not in await plugin.probe():
        pytest.skip(f"the server has no {capability}")


async def cut_off(call: Awaitable[Any], steps: int) -> None:
    """Begin a call and die after so many turns of the loop. What was sent by then takes effect, answered or not."""
    task = asyncio.ensure_future(call)
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _in_zone(change: Change, zone: str) -> Change:
    records = tuple(text.replace("{zone}", zone) for text in change.records)
    return replace(change, name=change.name.replace("{zone}", zone), records=records)
