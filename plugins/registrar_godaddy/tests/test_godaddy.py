"""Domains at GoDaddy: the suite, GoDaddy's own ways, and the fake beside a well-known client."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import requests
from catalyst_registrar_godaddy.plugin import catalyst_plugin
from catalyst_sdk import Permanent, RateLimited
from catalyst_sdk.registrar import Target, TaskState
from catalyst_testkit.registrar_bench import NEW, OLD, RegistrarApiBench, records
from catalyst_testkit.registrar_benches import api_bench
from catalyst_testkit.registrar_suite import RegistrarApiSuite
from lexicon._private.providers.godaddy import Provider
from lexicon.config import ConfigResolver

from .fake_godaddy import KEY, SECRET, FakeGoDaddy

GOOD = {"key": KEY, "secret": SECRET}
REJECTED = {"key": KEY, "secret": "canary-wrong-secret"}
BROKEN = {"key": "canary-lonely-key"}


@pytest.fixture
def fake() -> FakeGoDaddy:
    return FakeGoDaddy()


@pytest.fixture
async def bench(fake: FakeGoDaddy, tmp_path: Path) -> AsyncIterator[RegistrarApiBench]:
    async with api_bench(
        fake, catalyst_plugin, tmp_path, good=GOOD, rejected=REJECTED, broken=BROKEN, hidden=("key", "secret"),
        write="PATCH /v1/domains/acme.example",
    ) as one:  # fmt: skip
        yield one


class TestConformance(RegistrarApiSuite):
    """The suite that every registrar with an API passes."""


async def test_the_records_of_its_own_name_servers_are_read_to_the_last_page(
    bench: RegistrarApiBench, fake: FakeGoDaddy
) -> None:
    fake.domains["acme.example"].ns = ["ns01.domaincontrol.com", "ns02.domaincontrol.com"]
    hosts = [{"type": "A", "name": f"h{n}", "data": "192.0.2.1", "ttl": 600} for n in range(500)]
    fake.records = [
        *hosts,
        {"type": "A", "name": "@", "data": "192.0.2.80", "ttl": 600},
        {"type": "CNAME", "name": "www", "data": "@", "ttl": 3600},
        {"type": "MX", "name": "@", "data": "mail.example.net", "ttl": 3600, "priority": 10},
        {"type": "SRV", "name": "@", "data": "sip.example.net", "ttl": 3600, "priority": 1, "weight": 5, "port": 5060,
         "service": "_sip", "protocol": "_tcp"},
    ]  # fmt: skip
    found = await records(bench)
    assert len(found) == 504
    assert found["acme.example.", "A", 600] == ("192.0.2.80",)
    assert found["www.acme.example.", "CNAME", 3600] == ("acme.example.",)
    assert found["acme.example.", "MX", 3600] == ("10 mail.example.net.",)
    assert found["_sip._tcp.acme.example.", "SRV", 3600] == ("1 5 5060 sip.example.net.",)


async def test_an_account_that_is_too_small_is_not_entitled_and_its_keys_are_not_called_wrong(
    bench: RegistrarApiBench, fake: FakeGoDaddy
) -> None:
    fake.is_closed = True
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.valid, [one.reason for one in access.obstacles]) == (False, ["ACCESS_NOT_ENTITLED"])
    assert access.obstacles[0].provider_code == "ACCESS_DENIED"
    assert "ten domains or a premier membership" in access.obstacles[0].user_action
    with pytest.raises(Permanent) as refused:
        await bench.read()
    assert refused.value.reason == "ACCESS_NOT_ENTITLED"


async def test_a_204_without_effect_is_never_done(bench: RegistrarApiBench, fake: FakeGoDaddy) -> None:
    fake.is_deaf = True
    task = await bench.done(Target(NEW))
    assert (task.state, fake.writes) == (TaskState.RUNNING, 1)
    assert set((await bench.read()).ns) == set(OLD)


async def test_a_domain_that_is_not_active_cannot_be_changed_and_says_why(
    bench: RegistrarApiBench, fake: FakeGoDaddy
) -> None:
    fake.status = "PENDING_TRANSFER"
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.can_read, access.can_write_ns) == (True, False)
    assert "PENDING_TRANSFER" in access.obstacles[0].detail


async def test_a_domain_without_name_servers_has_none(bench: RegistrarApiBench, fake: FakeGoDaddy) -> None:
    fake.domains[bench.domain].ns = []
    assert (await bench.read()).ns == ()


async def test_a_name_server_that_godaddy_does_not_know_is_named(bench: RegistrarApiBench) -> None:
    with pytest.raises(Permanent) as refused:
        await bench.apply(Target((NEW[0], "ns.unregistered.example.")))
    assert (refused.value.reason, refused.value.metadata["host"]) == ("NAMESERVER_REJECTED", "body.nameServers[1]")


async def test_the_pace_is_kept_for_all_calls_of_one_account(bench: RegistrarApiBench, fake: FakeGoDaddy) -> None:
    plugin = bench.plugin
    with pytest.raises(RateLimited) as limited:
        for _ in range(61):
            await bench.read(plugin)
    assert len(fake.seen) == 60
    assert 0 < limited.value.retry_after.total_seconds() <= 60


async def test_the_fake_satisfies_lexicons_client(bench: RegistrarApiBench, fake: FakeGoDaddy) -> None:
    def use() -> list[str]:
        def client(secret: str) -> Provider:
            options = {"provider_name": "godaddy", "action": "list", "domain": "acme.example", "type": "A"}
            keys = {"godaddy": {"auth_key": KEY, "auth_secret": secret}}
            made = Provider(ConfigResolver().with_dict({**options, **keys}))
            made.api_endpoint = f"{fake.url}/v1"
            return made

        with pytest.raises(requests.HTTPError, match="401"):
            client("wrong")._get("/domains/acme.example")
        client(SECRET)._patch("/domains/acme.example", {"nameServers": [host.rstrip(".") for host in NEW]})
        return client(SECRET)._get("/domains/acme.example")["nameServers"]

    found = await asyncio.to_thread(use)
    assert tuple(f"{host}." for host in found) == (await bench.read()).ns == NEW
