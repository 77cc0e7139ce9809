"""What a resolver sees of the zones: signed, validated, denied; and zones that are not what they should be."""

import base64
import logging
from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import pytest
from catalyst_dns_powerdns import zones
from catalyst_dns_powerdns.plugin import SCRATCH, PowerDnsBackend
from catalyst_sdk import Permanent, SecretRef
from catalyst_sdk.dns import Capability, Change, KeyOp, RecordSet, ZoneKey, ZoneSpec, ZoneState
from catalyst_sdk.dns_rules import Faults, new_records
from catalyst_sdk.resolver import fault
from catalyst_testkit.dns_backend_cases import OTHERS_KEYS
from catalyst_testkit.powerdns import API_KEY, PowerDnsServer
from dns.rdatatype import RdataType

from .conftest import Safe, made

OWNER = "organizations/one"
NS = ("ns1.hosts.example.",)


def spec_of(name: str = "", **fields: Any) -> ZoneSpec:
    zone = name or f"z{uuid4().hex[:10]}.served.example."
    return ZoneSpec(zone, NS, OWNER, (RecordSet(f"console.{zone}", "A", 60, ("192.0.2.1",)),), ttl=60, **fields)


def rrset(answer: dns.message.Message, section: list[dns.rrset.RRset], name: str, kind: str) -> dns.rrset.RRset:
    found = answer.get_rrset(section, dns.name.from_text(name), dns.rdataclass.IN, dns.rdatatype.from_text(kind))
    assert found is not None, f"{name} {kind} is not in the answer"
    return found


def checked(
    answer: dns.message.Message, section: list[dns.rrset.RRset], name: str, kind: str, keys: dns.rrset.RRset
) -> dns.rrset.RRset:
    """The record set, its signature held against the zone's keys."""
    found = rrset(answer, section, name, kind)
    signatures = answer.get_rrset(section, found.name, dns.rdataclass.IN, dns.rdatatype.RRSIG, covers=found.rdtype)
    assert signatures is not None, f"{name} {kind} is not signed"
    dns.dnssec.validate(found, signatures, {keys.name: keys})
    return found


async def trusted(server: PowerDnsServer, zone: str, ds: tuple[str, ...]) -> dns.rrset.RRset:
    """The zone's keys, held against the DS that a parent would show."""
    answer = await server.ask(zone, "DNSKEY")
    keys = rrset(answer, answer.answer, zone, "DNSKEY")
    named = [k for k in keys if str(dns.dnssec.make_ds(keys.name, k, "SHA256")) in ds]
    assert named, "no key is the one that the DS names"
    return checked(answer, answer.answer, zone, "DNSKEY", dns.rrset.from_rdata_list(keys.name, 60, named))


def ds_of(state: ZoneState) -> tuple[str, ...]:
    return tuple(text for key in state.keys if key.active for text in key.ds)


async def test_a_zone_is_validated_by_its_ds_as_soon_as_it_is_made(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    state = await backend.create_zone(spec=spec_of())
    keys = await trusted(powerdns, state.name, ds_of(state))
    assert [(key.algorithm, key.flags) for key in keys] == [(13, 257)]
    for tcp in (False, True):
        answer = await powerdns.ask(f"console.{state.name}", "A", tcp=tcp)
        assert answer.flags & dns.flags.AA
        found = checked(answer, answer.answer, f"console.{state.name}", "A", keys)
        assert [str(r) for r in found] == ["192.0.2.1"]
    answer = await powerdns.ask(state.name, "SOA")
    soa = rrset(answer, answer.answer, state.name, "SOA")
    assert (str(soa[0].mname), soa[0].serial, soa[0].minimum) == (NS[0], state.serial, 300)


async def test_what_is_not_there_is_denied_with_nsec3_without_salt_or_iterations(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    state = await backend.create_zone(spec=spec_of())
    keys = await trusted(powerdns, state.name, ds_of(state))
    answer = await powerdns.ask(f"nobody.{state.name}", "A")
    assert answer.rcode() == dns.rcode.NXDOMAIN
    owners = [r.name for r in answer.authority if r.rdtype == dns.rdatatype.NSEC3]
    proofs = [checked(answer, answer.authority, str(owner), "NSEC3", keys) for owner in owners]
    assert {(p[0].algorithm, p[0].iterations, p[0].salt) for p in proofs} == {(1, 0, b"")}
    wanted = dns.dnssec.nsec3_hash(f"nobody.{state.name}", None, 0, 1).upper()
    assert any(_covers(proof, wanted) for proof in proofs)


def _covers(proof: dns.rrset.RRset, wanted: str) -> bool:
    low = proof.name.labels[0].decode().upper()
    high = base64.b32hexencode(proof[0].next).decode().upper()
    return low < wanted < high if low < high else wanted > low or wanted < high


async def test_the_parent_may_take_cds_and_cdnskey(backend: PowerDnsBackend, powerdns: PowerDnsServer) -> None:
    state = await backend.create_zone(spec=spec_of())
    keys = await trusted(powerdns, state.name, ds_of(state))
    answer = await powerdns.ask(state.name, "CDS")
    assert tuple(str(r) for r in checked(answer, answer.answer, state.name, "CDS", keys)) == ds_of(state)
    answer = await powerdns.ask(state.name, "CDNSKEY")
    shown = [str(r) for r in checked(answer, answer.answer, state.name, "CDNSKEY", keys)]
    assert shown == [key.dnskey for key in state.keys]


async def test_a_changed_answer_is_served_and_signed_at_once(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    state = await backend.create_zone(spec=spec_of())
    keys = await trusted(powerdns, state.name, ds_of(state))
    for n in range(2, 6):
        change = Change(f"console.{state.name}", "A", 60, (f"192.0.2.{n}",))
        state = await backend.apply(zone=state.name, changes=(change,), revision=n)
        answer = await powerdns.ask(change.name, "A")
        assert [str(r) for r in checked(answer, answer.answer, change.name, "A", keys)] == [f"192.0.2.{n}"]
        answer = await powerdns.ask(state.name, "SOA")
        soa = rrset(answer, answer.answer, state.name, "SOA")
        assert soa[0].serial == state.serial


async def test_a_key_roll_is_never_bogus_under_the_ds_of_its_moment(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    parent = await backend.create_zone(spec=spec_of())
    child = await backend.create_zone(spec=spec_of(f"child.{parent.name}"))
    await delegate(backend, parent.name, child, *child.keys)

    async def holds(state: ZoneState, *shown: ZoneKey) -> None:
        keys = await trusted(powerdns, state.name, tuple(ds for key in shown for ds in key.ds))
        answer = await powerdns.ask(f"console.{state.name}", "A")
        checked(answer, answer.answer, f"console.{state.name}", "A", keys)

    (old,) = child.keys
    published = await backend.dnssec(zone=child.name, op=KeyOp.PUBLISH)
    new = next(key for key in published.keys if not key.active)
    await holds(published, old)
    with pytest.raises(Permanent) as early:
        await backend.dnssec(zone=child.name, op=KeyOp.ACTIVATE, tag=new.tag)
    assert early.value.reason == "PROTECTED_RECORD"
    await delegate(backend, parent.name, child, old, new)
    active = await backend.dnssec(zone=child.name, op=KeyOp.ACTIVATE, tag=new.tag)
    await holds(active, old, new)
    await delegate(backend, parent.name, child, new)
    await holds(await backend.dnssec(zone=child.name, op=KeyOp.RETIRE), new)
    with pytest.raises(Permanent) as chained:
        await backend.dnssec(zone=child.name, op=KeyOp.DISABLE)
    assert chained.value.reason == "PROTECTED_RECORD"
    await delegate(backend, parent.name, child)
    assert not (await backend.dnssec(zone=child.name, op=KeyOp.DISABLE)).signed


async def test_renounced_keys_are_shown_as_the_wish_for_deletion_and_new_ones_as_themselves(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    zone = await backend.create_zone(spec=spec_of())
    await backend.dnssec(zone=zone.name, op=KeyOp.RENOUNCE)

    async def shown(kind: str) -> list[str]:
        answer = await powerdns.ask(zone.name, kind)
        return [str(r) for r in rrset(answer, answer.answer, zone.name, kind)]

    assert (await shown("CDS"), await shown("CDNSKEY")) == (["0 0 0 00"], ["0 3 0 AA=="])
    await backend.dnssec(zone=zone.name, op=KeyOp.DISABLE)
    enabled = await backend.dnssec(zone=zone.name, op=KeyOp.ENABLE)
    assert [text.lower() for text in await shown("CDS")] == [text.lower() for text in enabled.keys[0].ds]


async def delegate(backend: PowerDnsBackend, parent: str, child: ZoneState, *keys: ZoneKey) -> None:
    ds = Change(child.name, "DS", 60, tuple(text for key in keys for text in key.ds))
    await backend.apply(zone=parent, changes=(Change(child.name, "NS", 60, NS), ds))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("HTTPS", '1 . alpn="h2,h3"'), ("SVCB", "1 svc.example."), ("TLSA", "3 1 1 " + "ab" * 32),
        ("SSHFP", "4 2 " + "cd" * 32), ("NAPTR", '100 10 "u" "sip+E2U" "!^.*$!sip:x@example.!" .'),
        ("PTR", "host.example."),
    ],
)  # fmt: skip
async def test_every_type_that_is_claimed_comes_back_as_it_was_wished(
    backend: PowerDnsBackend, powerdns: PowerDnsServer, kind: str, text: str
) -> None:
    state = await backend.create_zone(spec=spec_of())
    change = Change(f"_x.{state.name}", kind, 60, (text,))
    after = await backend.apply(zone=state.name, changes=(change,))
    assert await backend.apply(zone=state.name, changes=(change,)) == after
    answer = await powerdns.ask(change.name, kind)
    assert len(rrset(answer, answer.answer, change.name, kind)) == 1


@pytest.mark.parametrize("stage", ["nothing but its name", "records and no key"])
async def test_a_zone_whose_making_was_cut_short_is_completed_by_its_owner_alone(
    backend: PowerDnsBackend, powerdns: PowerDnsServer, stage: str
) -> None:
    spec = spec_of()
    whole = zones.to_body(spec, {})
    bare = {key: whole[key] for key in ("name", "kind", "account")}
    records = records_of(spec) if stage == "records and no key" else []
    assert powerdns.api("POST", "/zones", {**bare, "rrsets": records}).status_code == 201
    if not records:
        assert await backend.get_zone(zone=spec.name) is None
    with pytest.raises(Permanent) as refused:
        await backend.create_zone(spec=ZoneSpec(spec.name, NS, "organizations/two"))
    assert refused.value.reason == "FOREIGN_ZONE"
    made_now = await backend.create_zone(spec=spec)
    keys = await trusted(powerdns, spec.name, ds_of(made_now))
    answer = await powerdns.ask(f"console.{spec.name}", "A")
    checked(answer, answer.answer, f"console.{spec.name}", "A", keys)
    await backend.delete_zone(zone=spec.name, owner=OWNER)


def records_of(spec: ZoneSpec) -> list[dict[str, Any]]:
    body: list[dict[str, Any]] = zones.to_body(spec, new_records(spec, Faults("test")))["rrsets"]
    return body


async def test_a_half_made_zone_is_deleted_by_its_owner(backend: PowerDnsBackend, powerdns: PowerDnsServer) -> None:
    spec = spec_of()
    whole = zones.to_body(spec, {})
    assert powerdns.api("POST", "/zones", {k: whole[k] for k in ("name", "kind", "account")}).status_code == 201
    await backend.delete_zone(zone=spec.name, owner=OWNER)
    assert powerdns.api("GET", f"/zones/{spec.name}").status_code == 404


async def test_keys_of_others_are_answered_beside_its_own_signed_by_these_and_so_are_their_cds(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    state = await backend.create_zone(spec=spec_of())
    await backend.apply(zone=state.name, changes=(Change(state.name, "DNSKEY", 60, OTHERS_KEYS),))
    own = {key.dnskey for key in state.keys}
    keys = await powerdns.ask(state.name, "DNSKEY", tcp=True)
    (shown,) = (r for r in keys.answer if r.rdtype == RdataType.DNSKEY)
    assert {str(key) for key in shown} == own | set(OTHERS_KEYS)
    assert fault(keys.answer, shown, {shown.name: from_texts(shown.name, own)}) == ""
    cds = await powerdns.ask(state.name, "CDNSKEY", tcp=True)
    (entries,) = (r for r in cds.answer if r.rdtype == RdataType.CDNSKEY)
    assert {str(key) for key in entries} == own | {OTHERS_KEYS[1]}, "one of theirs is no entry point"
    await backend.apply(zone=state.name, changes=(Change(state.name, "DNSKEY"),))
    for kind in (RdataType.DNSKEY, RdataType.CDNSKEY):
        answer = await powerdns.ask(state.name, kind.name, tcp=True)
        assert [{str(key) for key in r} for r in answer.answer if r.rdtype == kind] == [own], kind


def from_texts(name: dns.name.Name, texts: Iterable[str]) -> dns.rrset.RRset:
    return dns.rrset.from_text_list(name, 60, "IN", "DNSKEY", list(texts))


async def test_whoever_may_write_records_cannot_make_a_zone_his_own(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    state = await backend.create_zone(spec=spec_of())
    mark = RecordSet(f"_pdm-owner.{state.name}", "TXT", 60, ('"owner=organizations/two"',))
    patch = zones.to_patch({(mark.name, "TXT"): mark}, {(mark.name, "TXT")})
    assert powerdns.api("PATCH", f"/zones/{state.name}", patch).status_code == 204
    seen = await backend.get_zone(zone=state.name)
    assert seen is not None
    assert seen.owner == ""
    with pytest.raises(Permanent) as refused:
        await backend.delete_zone(zone=state.name, owner="organizations/two")
    assert refused.value.reason == "FOREIGN_ZONE"


async def test_a_zone_of_other_software_is_neither_adopted_nor_deleted(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    spec = spec_of()
    powerdns.api("POST", "/zones", {"name": spec.name, "kind": "Native", "nameservers": [*NS]})
    before = powerdns.api("GET", f"/zones/{spec.name}").json()
    for call in (backend.create_zone(spec=spec), backend.delete_zone(zone=spec.name, owner=OWNER)):
        with pytest.raises(Permanent) as refused:
            await call
        assert refused.value.reason == "FOREIGN_ZONE"
    assert powerdns.api("GET", f"/zones/{spec.name}").json() == before


async def test_a_probe_leaves_nothing_and_takes_away_what_another_left(
    backend: PowerDnsBackend, powerdns: PowerDnsServer
) -> None:
    whole = zones.to_body(spec_of(SCRATCH), {})
    powerdns.api("POST", "/zones", {**whole, "nameservers": [*NS]})
    switched_off = {Capability.LUA, Capability.GEO}
    assert await backend.probe() == (await backend.info()).capabilities - switched_off
    assert powerdns.api("GET", f"/zones/{SCRATCH}").status_code == 404


async def test_neither_the_api_key_nor_a_private_key_is_told_on_even_at_debug(
    powerdns: PowerDnsServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    safe = Safe({"powerdns": API_KEY, "gate": "Basic Y2FuYXJ5LWMwZmZlZQ=="})
    mine = made(powerdns.url, safe, authorization=SecretRef("gate"))
    state = await mine.create_zone(spec=spec_of())
    state = await mine.dnssec(zone=state.name, op=KeyOp.PUBLISH)
    safe.values["powerdns"] = "wrong-canary-key"  # a key that was exchanged is used at once
    with pytest.raises(Permanent) as refused:
        await mine.get_zone(zone=state.name)
    told = [
        caplog.text,
        *capsys.readouterr(),
        repr(refused.value),
        repr(refused.value.__dict__),
        repr(state),
        repr(vars(mine)),
    ]
    for canary in (API_KEY, "wrong-canary-key", "c0ffee", "Y2FuYXJ5", "PrivateKey", "Private-key"):
        assert not any(canary in text for text in told), canary
