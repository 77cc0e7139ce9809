"""Domains at Namecheap: the suite, Namecheap's own ways, and the fake beside a well-known client."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalyst_registrar_namecheap.plugin import catalyst_plugin
from catalyst_sdk import Permanent, PluginFailure, RateLimited, Temporary, load_manifest
from catalyst_sdk.credentials import NoSuchForm, credential_faults, from_line
from catalyst_sdk.registrar import Glue, Target
from catalyst_testkit.fake_registrar import FakeAnswer, FakeDomain
from catalyst_testkit.registrar_bench import NEW, OLD, RegistrarApiBench, records
from catalyst_testkit.registrar_benches import api_bench
from catalyst_testkit.registrar_endings import reason, unsupported
from catalyst_testkit.registrar_suite import RegistrarApiSuite
from lexicon._private.providers.namecheap import _Api, _ApiError

from .fake_namecheap import IP, KEY, USER, FakeNamecheap

GOOD = {"user": USER, "key": KEY, "ip": IP}
REJECTED = {**GOOD, "key": "canary-wrong-key"}
BROKEN = {"user": USER, "key": "canary-lonely-key"}
MANIFEST = load_manifest(Path(__file__).parents[1] / "catalyst_registrar_namecheap" / "manifest.toml")


@pytest.fixture
def fake() -> FakeNamecheap:
    return FakeNamecheap()


@pytest.fixture
async def bench(fake: FakeNamecheap, tmp_path: Path) -> AsyncIterator[RegistrarApiBench]:
    async with api_bench(
        fake, catalyst_plugin, tmp_path, base="/xml.response", good=GOOD, rejected=REJECTED, broken=BROKEN,
        hidden=("key",), write="GET /xml.response?Command=namecheap.domains.dns.setCustom", lock=None,
    ) as one:  # fmt: skip
        yield one


class TestConformance(RegistrarApiSuite):
    """The suite that every registrar with an API passes."""


async def test_host_records_are_read_and_redirects_are_named(bench: RegistrarApiBench, fake: FakeNamecheap) -> None:
    fake.own_dns = True
    fake.records = [
        ("@", "MX", "mail.acme.example.", "10"), ("@", "TXT", "v=spf1 mx -all", "10"),
        ("www", "URL301", "https://example.net", "10"), ("mail", "A", "192.0.2.25", "10"),
    ]  # fmt: skip
    assert await records(bench) == {
        ("acme.example.", "MX", 1800): ("10 mail.acme.example.",),
        ("acme.example.", "TXT", 1800): ('"v=spf1 mx -all"',),
        ("mail.acme.example.", "A", 1800): ("192.0.2.25",),
        ("left out", "URL301 of www.acme.example.", 0): (),
    }


@pytest.mark.parametrize("seen_from", [None, "198.51.100.77"])
async def test_an_address_that_is_not_on_the_list_is_named_with_where_to_add_it(
    bench: RegistrarApiBench, fake: FakeNamecheap, seen_from: str | None
) -> None:
    fake.allowed, fake.seen_from = [], seen_from
    expected = seen_from or IP
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.valid, access.obstacles[0].reason, access.obstacles[0].provider_code) == (
        False, "IP_NOT_ALLOWED", "1011150",
    )  # fmt: skip
    assert f"add {expected} to the allowed addresses" in access.obstacles[0].user_action
    with pytest.raises(Permanent) as refused:
        await bench.read()
    assert refused.value.metadata["ip"] == expected


@pytest.mark.parametrize(
    ("number", "meaning"),
    [
        ("1010100", "CREDENTIALS_REJECTED"), ("1010101", "CREDENTIALS_REJECTED"), ("1010102", "CREDENTIALS_REJECTED"),
        ("1011102", "CREDENTIALS_REJECTED"), ("1011500", "CREDENTIALS_REJECTED"), ("1017101", "CREDENTIALS_REJECTED"),
        ("1017105", "IP_NOT_ALLOWED"), ("1017150", "IP_NOT_ALLOWED"), ("2019166", "DOMAIN_NOT_IN_ACCOUNT"),
        ("2019167", "DOMAIN_NOT_IN_ACCOUNT"), ("2030280", "DOMAIN_NOT_IN_ACCOUNT"),
        ("2016166", "DOMAIN_NOT_IN_ACCOUNT"), ("2030166", "PERMISSION_MISSING"), ("4711", "PROTOCOL_MISMATCH"),
    ],
)  # fmt: skip
async def test_its_numbers_have_these_meanings(
    bench: RegistrarApiBench, fake: FakeNamecheap, number: str, meaning: str
) -> None:
    fake.error = (number, "something")
    assert await reason(bench.read()) == meaning


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (("1017411", "Too many invalid logins"), RateLimited), (("500000", "Too many requests"), RateLimited),
        (("500000", "API rate exceeded"), RateLimited), (("3031510", "Error from Enom"), Temporary),
        (("3050900", "Unknown error from Enom"), Temporary), (("4022288", "Unable to get name servers"), Temporary),
    ],
)  # fmt: skip
async def test_what_passes_is_told_from_what_stays(
    bench: RegistrarApiBench, fake: FakeNamecheap, error: tuple[str, str], kind: type[PluginFailure]
) -> None:
    fake.error = error
    with pytest.raises(kind):
        await bench.read()


async def test_ok_without_updated_is_no_success(bench: RegistrarApiBench, fake: FakeNamecheap) -> None:
    fake.is_deaf = True
    with pytest.raises(Temporary) as lost:
        await bench.apply(Target(NEW))
    assert (lost.value.metadata["outcome"], fake.writes) == ("unknown", 1)


async def test_the_name_is_split_by_the_public_suffix_list(bench: RegistrarApiBench, fake: FakeNamecheap) -> None:
    fake.domains["acme.co.uk"] = FakeDomain([host.rstrip(".") for host in OLD])
    found = await bench.plugin.delegation(credential=bench.credential, domain="acme.co.uk")
    assert set(found.ns) == set(OLD)
    assert {name: fake.seen[-1].query[name] for name in ("SLD", "TLD")} == {"SLD": "acme", "TLD": "co.uk"}
    before = len(fake.seen)
    for domain in ("co.uk", "www.acme.co.uk"):
        assert await reason(bench.plugin.delegation(credential=bench.credential, domain=domain)) == (
            "DOMAIN_NOT_IN_ACCOUNT"
        )
    assert len(fake.seen) == before


async def test_what_ends_with_namecheaps_servers_is_told_while_they_are_in_use(
    bench: RegistrarApiBench, fake: FakeNamecheap
) -> None:
    fake.own_dns = True
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.can_write_ns, [one.reason for one in access.obstacles]) == (True, ["SERVICES_END"])
    assert "mail forwarding" in access.obstacles[0].detail


@pytest.mark.parametrize(("owner", "all", "can"), [("True", "false", True), ("false", "TRUE", True), ("no", "", False)])
async def test_who_may_change_the_domain_is_its_owner_or_has_all_rights(
    bench: RegistrarApiBench, fake: FakeNamecheap, owner: str, all: str, can: bool
) -> None:
    fake.owner, fake.all = owner, all
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert access.can_write_ns is can


async def test_a_name_server_in_the_domain_is_registered_once_then_moved_by_its_old_address(
    bench: RegistrarApiBench, fake: FakeNamecheap
) -> None:
    host = "ns1.acme.example."
    for address in ("192.0.2.7", "192.0.2.8", "192.0.2.8"):
        target = Target((host, NEW[0]), glue=(Glue(host, (address,)),))
        await bench.apply(target)
        assert (await bench.read()).glue == target.glue
    asked = [(q.query["Command"].rpartition(".")[2], q.query.get("OldIP")) for q in fake.seen if "IP" in q.query]
    assert asked == [("create", None), ("update", "192.0.2.7")]


async def test_a_name_server_has_one_address_of_ipv4_and_nothing_is_written_for_any_other(
    bench: RegistrarApiBench, fake: FakeNamecheap
) -> None:
    host = "ns1.acme.example."
    for addresses in (("2001:db8::7",), ("192.0.2.7", "192.0.2.8")):
        assert await unsupported(bench.apply(Target((host, NEW[0]), glue=(Glue(host, addresses),)))) == "glue"
    assert fake.writes == 0


async def test_a_name_server_that_is_registered_without_success_leaves_the_outcome_unknown(
    bench: RegistrarApiBench, fake: FakeNamecheap
) -> None:
    fake.is_deaf, host = True, "ns1.acme.example."
    with pytest.raises(Temporary) as lost:
        await bench.apply(Target((host, NEW[0]), glue=(Glue(host, ("192.0.2.7",)),)))
    assert (lost.value.metadata["outcome"], fake.writes) == ("unknown", 1)


async def test_names_that_are_too_long_together_are_not_sent(bench: RegistrarApiBench, fake: FakeNamecheap) -> None:
    long = tuple(f"{'a' * 60}.{'b' * 60}.n{n}.example." for n in range(12))
    assert await reason(bench.apply(Target(long))) == "NAMESERVER_REJECTED"
    assert fake.writes == 0


async def test_a_document_with_entities_is_not_read(bench: RegistrarApiBench, fake: FakeNamecheap) -> None:
    fake.answer = lambda _: FakeAnswer(
        200, '<!DOCTYPE x [<!ENTITY a "aaaa">]><ApiResponse Status="OK">&a;</ApiResponse>'
    )
    assert await reason(bench.read()) == "PROTOCOL_MISMATCH"


async def test_the_pace_of_20_calls_a_minute_is_kept(bench: RegistrarApiBench, fake: FakeNamecheap) -> None:
    plugin = bench.plugin
    with pytest.raises(RateLimited):
        for _ in range(21):
            await bench.read(plugin)
    assert len(fake.seen) == 20


def test_the_old_line_has_three_or_four_parts_and_an_ipv4_address() -> None:
    schema = MANIFEST.extra["credential"]
    three = from_line(schema, f"{USER}:{KEY}:{IP}")
    four = from_line(schema, f"{USER}:{KEY}:other:{IP}")
    assert (three, four) == (GOOD, {**GOOD, "userName": "other"})
    assert credential_faults(schema, three) == credential_faults(schema, four) == ()
    for line in (f"{USER}:{KEY}", f"{USER}:{KEY}:2001:db8::1"):
        with pytest.raises(NoSuchForm):
            from_line(schema, line)
    wrong = credential_faults(schema, {**GOOD, "ip": "2001:db8::1"})
    assert [(fault.field, fault.rule) for fault in wrong] == [("ip", "pattern")]


async def test_the_fake_satisfies_lexicons_client(bench: RegistrarApiBench, fake: FakeNamecheap) -> None:
    def use() -> list[str | None]:
        client = _Api(USER, KEY, USER, IP, sandbox=False)
        client.endpoint = f"{fake.url}/xml.response"
        space = "{http://api.namecheap.com/xml.response}"
        info = client.call("namecheap.domains.getInfo", {"DomainName": "acme.example"})
        assert info.find(f".//{space}DomainGetInfoResult").attrib["IsOwner"] == "true"
        names = ",".join(host.rstrip(".") for host in NEW)
        client.call("namecheap.domains.dns.setCustom", {"SLD": "acme", "TLD": "example", "Nameservers": names})
        stranger = _Api(USER, "wrong", USER, IP, sandbox=False)
        stranger.endpoint = client.endpoint
        with pytest.raises(_ApiError, match="1011102"):
            stranger.call("namecheap.domains.getInfo", {"DomainName": "acme.example"})
        found = client.call("namecheap.domains.dns.getList", {"SLD": "acme", "TLD": "example"})
        return [one.text for one in found.iter(f"{space}Nameserver")]

    found = await asyncio.to_thread(use)
    assert tuple(f"{host}." for host in found) == (await bench.read()).ns == NEW
