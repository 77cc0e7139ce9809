"""Keys, clocks, strangers, races and deaths: nothing is lost, nothing is taken that is not ours, and each is told as it is."""

import asyncio
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import pytest
import uvloop
from catalyst_dns_rfc2136 import control
from catalyst_dns_rfc2136 import plugin as module
from catalyst_dns_rfc2136.control import Done
from catalyst_dns_rfc2136.plugin import UpdateBackend
from catalyst_dns_rfc2136.wire import opened
from catalyst_sdk import NotSupported, Permanent, Temporary, load_manifest
from catalyst_sdk.dns import Capability, Change, KeyOp, RecordSet, ZoneSpec
from catalyst_testkit.bind import BindServer
from catalyst_testkit.knot import KnotServer
from catalyst_testkit.nameservers import UPDATE_KEY, NameServer, update_key
from catalyst_testkit.powerdns import PowerDnsServer
from catalyst_testkit.servers import free_port
from dns.rdtypes.ANY.TSIG import TSIG

from .conftest import PROBED, Safe, made, on_bind, on_knot, on_powerdns, prepare

OWNER = "organizations/one"
ADDRESS = ("192.0.2.1",)
Made = Callable[..., UpdateBackend]
WRONG_SECRET = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LWNhbmFyeQ=="
OTHERS_FILE = "$TTL 60\n@ SOA ns.example. hm.example. 1 10800 3600 604800 300\n@ NS ns.example.\nwww A 192.0.2.1\n"


def spec_of(**fields: Any) -> ZoneSpec:
    zone = f"z{uuid4().hex[:10]}.faults.example."
    return ZoneSpec(zone, ("ns1.hosts.example.",), OWNER, (RecordSet(f"console.{zone}", "A", 60, ADDRESS),), **fields)


def plant(server: BindServer, zone: str, options: str) -> None:
    """A zone that somebody else has made."""
    path = server.zones / f"{zone}file"
    path.write_text(f"$ORIGIN {zone}\n{OTHERS_FILE}")
    path.chmod(0o666)
    done = server.rndc("addzone", zone, f'{{ type primary; file "{path}"; {options} }};')
    assert done.returncode == 0, done.stderr


@pytest.fixture(params=["bind", "knot"])
def mine(request: pytest.FixtureRequest) -> Callable[..., UpdateBackend]:
    """Makes a backend over the one server or the other."""
    server: Any = request.getfixturevalue(request.param)
    return lambda **config: (on_bind if request.param == "bind" else on_knot)(server, **config)


async def test_the_manifest_claims_all_that_a_server_may_show_and_no_more(bind: BindServer, knot: KnotServer) -> None:
    manifest = load_manifest(Path(module.__file__).with_name("manifest.toml"))
    claimed = (await on_bind(bind).info()).capabilities
    assert set(manifest.capabilities) == claimed
    assert claimed - await on_bind(bind).probe() == {Capability.CDS}
    assert await on_knot(knot).probe() == claimed


async def test_without_control_the_zone_for_probes_shows_what_there_is(updated_powerdns: PowerDnsServer) -> None:
    seen = await on_powerdns(updated_powerdns).probe()
    assert seen == {Capability.DNSSEC, Capability.ATOMIC_BATCH, Capability.COMPARE_AND_SWAP, Capability.AXFR}
    assert await made(updated_powerdns.address).probe() == frozenset()


async def test_a_zone_that_nobody_prepared_is_refused_and_says_who_can_make_it(bind: BindServer) -> None:
    with pytest.raises(NotSupported) as refused:
        await made(bind.address).create_zone(spec=spec_of())
    assert (refused.value.capability, "prepare" in refused.value.user_action) == ("zone_lifecycle", True)


async def test_a_signed_zone_is_not_made_where_nothing_signs(mine: Made) -> None:
    with pytest.raises(NotSupported) as refused:
        await mine(signing_policy=None).create_zone(spec=spec_of())
    assert refused.value.capability == "dnssec"


async def test_keys_are_the_servers_own_affair(mine: Made) -> None:
    spec = spec_of()
    state = await mine().create_zone(spec=spec)
    assert await mine().dnssec(zone=spec.name, op=KeyOp.ENABLE) == state
    with pytest.raises(NotSupported) as refused:
        await mine().dnssec(zone=spec.name, op=KeyOp.PUBLISH)
    assert refused.value.capability == Capability.KEYS


@pytest.mark.parametrize(("name", "secret"), [("stranger.", WRONG_SECRET), (UPDATE_KEY, WRONG_SECRET)])
async def test_a_key_that_the_server_does_not_take_is_named_without_its_secret(
    mine: Made, name: str, secret: str
) -> None:
    wrong = mine(key_name=name)
    wrong_key = made(wrong._line._host + f":{wrong._line._port}", Safe({"update": secret}), key_name=name)
    with pytest.raises(Permanent) as refused:
        await wrong_key.apply(zone=(await mine().create_zone(spec=spec_of())).name, changes=())
    assert refused.value.reason == "CREDENTIALS_REJECTED"
    assert refused.value.provider_code in ("BADKEY", "BADSIGNATURE")
    assert secret not in repr(refused.value.__dict__) + repr(vars(wrong_key))


async def test_an_unsigned_no_is_passing_trouble_with_a_note(updated_powerdns: PowerDnsServer) -> None:
    stranger = made(updated_powerdns.address, Safe({"update": WRONG_SECRET}))
    with pytest.raises(Temporary, match="not signed") as unsure:
        await stranger.get_zone(zone=PROBED)
    assert "key" in unsure.value.user_action


async def test_a_secret_that_is_no_base64_is_not_quoted(bind: BindServer) -> None:
    with pytest.raises(Permanent) as refused:
        await made(bind.address, Safe({"update": "canary!"})).get_zone(zone="x.example.")
    assert (refused.value.reason, "canary" in str(refused.value)) == ("CREDENTIALS_REJECTED", False)


def test_clocks_that_differ_are_told_with_both_times() -> None:
    query = dns.update.UpdateMessage("x.example.")
    query.use_tsig(update_key())
    query.to_wire()
    answer = dns.message.make_response(dns.message.from_wire(query.to_wire(), keyring=False))
    answer.set_rcode(dns.rcode.NOTAUTH)
    theirs = int(time.time()) - 4000
    tsig: Any = TSIG(  # type: ignore[no-untyped-call]
        dns.rdataclass.ANY, dns.rdatatype.TSIG, dns.tsig.HMAC_SHA256, int(time.time()), 300, b"m" * 32, query.id,
        dns.rcode.BADTIME, struct.pack("!Q", theirs)[2:],
    )  # fmt: skip
    answer.tsig = dns.rrset.from_rdata(update_key().name, 0, tsig)
    wire = answer.to_wire()
    with pytest.raises(Temporary, match="clocks differ by 4000 s") as skewed:
        opened(query, wire)
    assert skewed.value.metadata["server_time"] < skewed.value.metadata["our_time"]
    assert skewed.value.provider_code == "BADTIME"


async def test_a_zone_that_may_not_be_transferred_is_not_absent(bind: BindServer) -> None:
    zone = spec_of().name
    plant(bind, zone, "allow-transfer { none; };")
    with pytest.raises(Permanent) as refused:
        await on_bind(bind).get_zone(zone=zone)
    assert (refused.value.reason, "transfer" in refused.value.message) == ("CREDENTIALS_REJECTED", True)


async def test_a_zone_of_other_software_is_neither_adopted_nor_deleted(bind: BindServer) -> None:
    spec, backend = spec_of(), on_bind(bind)
    plant(bind, spec.name, f'update-policy {{ grant "upd" zonesub ANY; }}; allow-transfer {{ key "{UPDATE_KEY}"; }};')
    before = await backend.get_zone(zone=spec.name)
    for call in (backend.create_zone(spec=spec), backend.delete_zone(zone=spec.name, owner=OWNER)):
        with pytest.raises(Permanent) as refused:
            await call
        assert refused.value.reason == "FOREIGN_ZONE"
    assert before == await backend.get_zone(zone=spec.name)
    assert before is not None
    assert before.owner == ""


async def test_of_eight_replicas_that_expect_the_same_one_wins(mine: Made) -> None:
    state = await mine().create_zone(spec=spec_of())
    replicas = [mine() for _ in range(8)]
    for replica in replicas:
        await replica.get_zone(zone=state.name)

    async def write(n: int) -> str:
        change = Change(f"w{n}.{state.name}", "A", 60, ADDRESS)
        try:
            await replicas[n].apply(zone=state.name, changes=(change,), expect=state.etag)
        except Permanent as refused:
            return refused.reason
        return ""

    assert sorted(await asyncio.gather(*map(write, range(8)))) == ["", *["CONFLICT"] * 7]


async def test_replicas_that_expect_nothing_all_get_their_change(mine: Made) -> None:
    state = await mine().create_zone(spec=spec_of())
    first, second = mine(), mine()
    for n in range(3):
        changes = [(Change(f"{who}{n}.{state.name}", "A", 60, ADDRESS),) for who in "ab"]
        calls = zip((first, second), changes, strict=True)
        await asyncio.gather(*(replica.apply(zone=state.name, changes=c) for replica, c in calls))
    seen = await mine().get_zone(zone=state.name)
    assert seen is not None
    assert {r.name.partition(".")[0] for r in seen.record_sets} >= {"a0", "a1", "a2", "b0", "b1", "b2"}


async def test_what_a_stranger_changed_is_seen_and_not_overwritten(mine: Made, request: Any) -> None:
    backend = mine()
    state = await backend.create_zone(spec=spec_of())
    message = dns.update.UpdateMessage(state.name)
    message.add(f"theirs.{state.name}", 60, "A", "192.0.2.9")
    await backend._line.ask(message)
    change = Change(f"mine.{state.name}", "A", 60, ADDRESS)
    with pytest.raises(Permanent) as late:
        await backend.apply(zone=state.name, changes=(change,), expect=state.etag)
    assert late.value.reason == "CONFLICT"
    after = await backend.apply(zone=state.name, changes=(change,))
    assert after.find(f"theirs.{state.name}", "A")


async def test_a_deleted_zone_leaves_neither_file_nor_key(bind: BindServer, knot: KnotServer) -> None:
    server: NameServer
    for server, backend in ((bind, on_bind(bind)), (knot, on_knot(knot))):
        spec = spec_of()
        await backend.create_zone(spec=spec)
        assert list(server.zones.glob(f"{spec.name}~*"))
        await backend.delete_zone(zone=spec.name, owner=OWNER)
        assert not list(server.zones.glob(f"{spec.name}~*"))


@pytest.mark.parametrize("kind", ["bind", "knot"])
async def test_a_server_that_is_killed_keeps_zones_changes_and_keys(kind: str, request: pytest.FixtureRequest) -> None:
    server: Any = request.getfixturevalue(f"own_{kind}")
    backend = on_bind(server) if kind == "bind" else on_knot(server)
    spec = spec_of()
    await backend.create_zone(spec=spec)
    change = Change(f"a.{spec.name}", "A", 60, ADDRESS)
    before = await backend.apply(zone=spec.name, changes=(change,), revision=2)
    server.kill()
    with pytest.raises(Temporary):
        await backend.get_zone(zone=spec.name)
    server.start()
    after = await backend.get_zone(zone=spec.name)
    assert after is not None
    assert (after.etag, after.keys, after.revision) == (before.etag, before.keys, 2)


async def test_a_bind_that_signs_beside_its_file_has_changed_only_when_it_shows_it(bind: BindServer) -> None:
    zone, backend = spec_of().name, on_bind(bind)
    options = f'update-policy {{ grant "upd" zonesub ANY; }}; allow-transfer {{ key "{UPDATE_KEY}"; }};'
    plant(bind, zone, options + f'dnssec-policy "csk"; inline-signing yes; key-directory "{bind.zones}";')
    for n in range(5):
        name = f"a{n}.{zone}"
        after = await backend.apply(zone=zone, changes=(Change(name, "A", 60, ADDRESS),))
        assert after.find(name, "A")
        answer = await bind.ask(name, "A")
        assert [str(r) for rrset in answer.answer if rrset.rdtype == dns.rdatatype.A for r in rrset] == [*ADDRESS]


async def test_a_change_beyond_one_message_is_refused_as_a_whole(mine: Made) -> None:
    backend = mine()
    state = await backend.create_zone(spec=spec_of())
    text = " ".join(f'"{"x" * 250}"' for _ in range(200))
    changes = tuple(Change(f"t{n}.{state.name}", "TXT", 60, (text,)) for n in range(2))
    with pytest.raises(Permanent) as refused:
        await backend.apply(zone=state.name, changes=changes)
    assert (refused.value.reason, "65,535" in refused.value.message) == ("RECORD_INVALID", True)
    assert await backend.get_zone(zone=state.name) == state


async def test_the_turn_is_no_record_of_anybody(mine: Made) -> None:
    backend = mine()
    state = await backend.create_zone(spec=spec_of())
    turn = f"_pdm-turn.{state.name}"
    assert state.find(turn, "TXT") is None
    with pytest.raises(Permanent) as refused:
        await backend.apply(zone=state.name, changes=(Change(turn, "TXT", 60, ('"mine"',)),))
    assert (refused.value.reason, refused.value.metadata["positions"]) == ("RECORD_INVALID", "0")


async def test_a_server_that_is_away_is_temporary() -> None:
    with pytest.raises(Temporary):
        await made(f"127.0.0.1:{free_port()}", try_seconds=0.5).get_zone(zone="x.example.")


async def test_an_emptied_zone_keeps_what_its_operator_prepared(updated_powerdns: PowerDnsServer) -> None:
    spec, backend = ZoneSpec("again.suite.example.", ("ns1.hosts.example.",), OWNER), on_powerdns(updated_powerdns)
    prepare(updated_powerdns, spec.name)
    assert await backend.get_zone(zone=spec.name) is None
    first = await backend.create_zone(spec=spec)
    await backend.apply(zone=spec.name, changes=(Change(f"a.{spec.name}", "A", 60, ADDRESS),))
    await backend.delete_zone(zone=spec.name, owner=OWNER)
    assert await backend.get_zone(zone=spec.name) is None
    other = ZoneSpec(spec.name, spec.name_servers, "organizations/two")
    second = await backend.create_zone(spec=other)
    assert (second.owner, second.keys) == ("organizations/two", first.keys)
    assert second.find(f"a.{spec.name}", "A") is None


def test_a_program_that_ends_before_it_has_read_anything_has_ended_and_that_is_all() -> None:
    async def go() -> None:
        for typed in ("", "one\n"):
            assert {await control.run("true", package="coreutils", typed=typed) for _ in range(15)} == {Done(0, "")}
        assert await control.run("cat", package="coreutils", typed="one\ntwo\n") == Done(0, "one\ntwo\n")

    uvloop.run(go())  # as a daemon does: its pipes fail otherwise than asyncio's own
