"""Names below a zone at Cloudflare: the suite, Cloudflare's own ways, and the fake beside Cloudflare's own client."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from catalyst_registrar_cloudflare.plugin import catalyst_plugin
from catalyst_sdk import NotSupported, RateLimited
from catalyst_sdk.registrar import Target, TaskState
from catalyst_testkit.registrar_bench import DS, KEY, NEW, OLD, RegistrarApiBench, records
from catalyst_testkit.registrar_benches import api_bench
from catalyst_testkit.registrar_endings import reason
from catalyst_testkit.registrar_suite import RegistrarApiSuite
from cloudflare import Cloudflare, PermissionDeniedError

from .fake_cloudflare import ACCOUNT, OWN, TOKEN, FakeCloudflare, refused

GOOD = {"token": TOKEN}
REJECTED = {"token": "canary-rejected-0123456789abcdef"}
BROKEN = {"accountId": ACCOUNT}
ZONE = "acme.example"


@pytest.fixture
def fake() -> FakeCloudflare:
    return FakeCloudflare()


@pytest.fixture
async def bench(fake: FakeCloudflare, tmp_path: Path) -> AsyncIterator[RegistrarApiBench]:
    async with api_bench(
        fake, catalyst_plugin, tmp_path, base="/client/v4", good=GOOD, rejected=REJECTED, broken=BROKEN,
        hidden=("token",), domain=f"platform.{ZONE}", write="POST /client/v4/zones/", lock=None,
    ) as one:  # fmt: skip
        yield one


class TestConformance(RegistrarApiSuite):
    """The suite that every registrar with an API passes."""


async def test_the_records_of_a_whole_zone_are_read_page_by_page(
    bench: RegistrarApiBench, fake: FakeCloudflare
) -> None:
    bench.domain, fake.page_size = ZONE, 2
    plain = {"id": "1", "name": ZONE, "ttl": 1, "proxied": False}
    fake.domains.clear()
    fake.others = [
        {**plain, "type": "A", "content": "192.0.2.80", "proxied": True, "proxiable": True},
        {**plain, "type": "MX", "content": "mail.acme.example", "priority": 10, "ttl": 600},
        {**plain, "type": "TXT", "content": '"v=spf1 mx -all"'},
        {**plain, "name": f"_sip._tcp.{ZONE}", "type": "SRV", "content": "5 5060 sip.example.net", "priority": 1,
         "data": {"priority": 1, "weight": 5, "port": 5060, "target": "sip.example.net"}},
        {**plain, "type": "CAA", "content": '0 issue "ca.example"',
         "data": {"flags": 0, "tag": "issue", "value": "ca.example"}},
    ]  # fmt: skip
    assert await records(bench) == {
        (f"{ZONE}.", "A", 300): ("192.0.2.80",),
        (f"{ZONE}.", "MX", 600): (f"10 mail.{ZONE}.",),
        (f"{ZONE}.", "TXT", 300): ('"v=spf1 mx -all"',),
        (f"_sip._tcp.{ZONE}.", "SRV", 300): ("1 5 5060 sip.example.net.",),
        (f"{ZONE}.", "CAA", 300): ('0 issue "ca.example"',),
    }


async def test_a_whole_zone_stays_on_cloudflares_servers_and_a_name_below_is_offered(
    bench: RegistrarApiBench, fake: FakeCloudflare
) -> None:
    bench.domain = ZONE
    assert (await bench.read()).ns == tuple(f"{host}." for host in OWN)
    access = await bench.plugin.validate(credential=bench.credential, domain=ZONE)
    assert (access.valid, access.can_read, access.can_write_ns, access.can_write_ds) == (True, True, False, False)
    assert access.obstacles[0].reason == "OPERATION_UNSUPPORTED"
    assert access.obstacles[0].user_action == "delegate a name below it, such as platform.acme.example"
    with pytest.raises(NotSupported) as refusal:
        await bench.apply(Target(NEW))
    assert (refusal.value.capability, fake.writes) == ("set_ns", 0)
    assert "platform.acme.example" in refusal.value.user_action


async def test_a_zone_that_waits_for_its_servers_shows_the_old_ones(
    bench: RegistrarApiBench, fake: FakeCloudflare
) -> None:
    fake.zone["status"] = "pending"
    bench.domain = ZONE
    assert (await bench.read()).ns == OLD


async def test_name_servers_and_keys_change_in_one_batch(bench: RegistrarApiBench, fake: FakeCloudflare) -> None:
    task = await bench.apply(Target(NEW, (replace(DS, digest="ab" * 32),), keys=(KEY,)))
    assert (task.state, fake.writes) == (TaskState.DONE, 1)
    batch = next(request.json() for request in fake.seen if request.method == "POST")
    assert (len(batch["deletes"]), [one["type"] for one in batch["posts"]]) == (2, ["NS", "NS", "DS"])


async def test_records_are_read_page_by_page(bench: RegistrarApiBench, fake: FakeCloudflare) -> None:
    fake.page_size = 2
    many = tuple(f"ns{n}.many.example." for n in range(1, 8))
    assert (await bench.done(Target(many))).state is TaskState.DONE
    assert set((await bench.read()).ns) == set(many)


async def test_a_list_without_an_end_is_given_up(bench: RegistrarApiBench, fake: FakeCloudflare) -> None:
    honest = fake.answer

    def endless(request):
        answer = honest(request)
        if isinstance(answer.body, dict) and "result_info" in answer.body:
            answer.body["result_info"]["total_pages"] = 10**6
        return answer

    fake.answer = endless
    assert await reason(bench.read()) == "PROTOCOL_MISMATCH"


async def test_a_token_that_may_not_write_is_told_which_permission_it_lacks(
    bench: RegistrarApiBench, fake: FakeCloudflare
) -> None:
    fake.rights = ["#zone:read", "#dns_records:read"]
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.can_read, access.can_write_ns, access.obstacles[0].reason) == (True, False, "PERMISSION_MISSING")
    assert await reason(bench.apply(Target(NEW))) == "PERMISSION_MISSING"


@pytest.mark.parametrize("status", ["disabled", "expired"])
async def test_a_token_that_is_not_active_is_not_accepted(
    bench: RegistrarApiBench, fake: FakeCloudflare, status: str
) -> None:
    fake.status = status
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.valid, access.obstacles[0].reason) == (False, "CREDENTIALS_REJECTED")


async def test_a_token_of_an_account_is_verified_there(fake: FakeCloudflare, tmp_path: Path) -> None:
    fake.token_path = f"/accounts/{ACCOUNT}/tokens/verify"
    async with api_bench(
        fake, catalyst_plugin, tmp_path, base="/client/v4", good={**GOOD, "accountId": ACCOUNT}, rejected=GOOD,
        broken=BROKEN, hidden=("token",), domain=f"platform.{ZONE}", write="POST /client/v4/zones/",
    ) as bench:  # fmt: skip
        assert (await bench.plugin.validate(credential=bench.credential, domain=bench.domain)).valid
        assert not (await bench.plugin.validate(credential=bench.rejected, domain=bench.domain)).valid


async def test_a_name_with_other_records_is_a_conflict(bench: RegistrarApiBench, fake: FakeCloudflare) -> None:
    fake.domains[bench.domain].ns = []
    fake.others = [{"id": "c", "name": bench.domain, "type": "CNAME", "content": "elsewhere.example", "ttl": 1}]
    assert await reason(bench.apply(Target(NEW))) == "CONFLICT"


@pytest.mark.parametrize(
    ("status", "code", "meaning"),
    [
        (403, 10000, "PERMISSION_MISSING"), (400, 6003, "CREDENTIALS_REJECTED"), (400, 6111, "CREDENTIALS_REJECTED"),
        (401, 9109, "CREDENTIALS_REJECTED"), (403, 9103, "PERMISSION_MISSING"), (400, 1001, "DOMAIN_NOT_IN_ACCOUNT"),
        (400, 9005, "NAMESERVER_REJECTED"), (418, 4711, "PROTOCOL_MISMATCH"),
    ],
)  # fmt: skip
async def test_its_codes_have_these_meanings(
    bench: RegistrarApiBench, fake: FakeCloudflare, status: int, code: int, meaning: str
) -> None:
    honest = fake.answer

    def refusing(request):
        return refused(status, code, "no") if "/dns_records" in request.path else honest(request)

    fake.answer = refusing
    assert await reason(bench.read()) == meaning


async def test_a_call_for_a_pause_by_code_is_one(bench: RegistrarApiBench, fake: FakeCloudflare) -> None:
    fake.answer = lambda _: refused(400, 10013, "Rate limit has been exceeded")
    with pytest.raises(RateLimited):
        await bench.read()


async def test_the_fake_satisfies_cloudflares_own_client(bench: RegistrarApiBench, fake: FakeCloudflare) -> None:
    def use() -> list[str]:
        with Cloudflare(api_token=TOKEN, base_url=f"{fake.url}/client/v4", max_retries=0) as client:
            assert client.user.tokens.verify().status == "active"
            (zone,) = client.zones.list(name=ZONE)
            posts = [{"type": "NS", "name": bench.domain, "content": host.rstrip("."), "ttl": 3600} for host in NEW]
            deletes = [{"id": one.id} for one in client.dns.records.list(zone_id=zone.id, type="NS")]
            client.dns.records.batch(zone_id=zone.id, deletes=deletes, posts=posts)
            found = [one.content for one in client.dns.records.list(zone_id=zone.id, type="NS")]
        stranger = Cloudflare(api_token="x" * 40, base_url=f"{fake.url}/client/v4", max_retries=0)
        with stranger, pytest.raises(PermissionDeniedError):
            stranger.zones.list(name=ZONE)
        return found

    found = await asyncio.to_thread(use)
    assert tuple(f"{host}." for host in found) == (await bench.read()).ns == NEW
