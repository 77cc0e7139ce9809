"""Domains at OVH: the suite, OVH's own ways, and the fake beside OVH's own client."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ovh
import pytest
from catalyst_registrar_ovh.plugin import catalyst_plugin
from catalyst_sdk import NotSupported, Permanent, Temporary
from catalyst_sdk.registrar import Glue, Target, TaskState
from catalyst_testkit.registrar_bench import DS, KEY, NEW, OLD, RegistrarApiBench, records
from catalyst_testkit.registrar_benches import api_bench
from catalyst_testkit.registrar_endings import reason, unsupported
from catalyst_testkit.registrar_suite import RegistrarApiSuite

from .fake_ovh import APP, CONSUMER, SECRET, FakeOvh

GOOD = {"region": "eu", "appKey": APP, "appSecret": SECRET, "consumerKey": CONSUMER}
REJECTED = {**GOOD, "consumerKey": "canary-rejected-consumer-key"}
BROKEN = {"region": "eu", "appKey": "canary-lonely-application-key"}
HIDDEN = ("appKey", "appSecret", "consumerKey")


@pytest.fixture
def fake() -> FakeOvh:
    return FakeOvh()


@pytest.fixture
async def bench(fake: FakeOvh, tmp_path: Path) -> AsyncIterator[RegistrarApiBench]:
    async with api_bench(
        fake, catalyst_plugin, tmp_path, base="/1.0", good=GOOD, rejected=REJECTED, broken=BROKEN, hidden=HIDDEN,
        write="POST /1.0/domain/acme.example/nameServers/update", lock=None,
    ) as one:  # fmt: skip
        yield one


class TestConformance(RegistrarApiSuite):
    """The suite that every registrar with an API passes."""


async def test_a_change_runs_as_a_task_until_ovh_is_done(bench: RegistrarApiBench, fake: FakeOvh) -> None:
    task = await bench.apply(Target(NEW))
    assert (task.state, task.message) == (TaskState.RUNNING, "OVH works on it: task 1 is doing")
    assert set((await bench.read()).ns) == set(OLD)
    assert (await bench.apply(Target(NEW))).id == task.id
    assert fake.writes == 1
    assert fake.kinds == {"acme.example": "external"}


async def test_a_task_that_ovh_gives_up_is_failed_with_its_reason(bench: RegistrarApiBench, fake: FakeOvh) -> None:
    fake.fails = True
    task = await bench.done(Target(NEW))
    assert (task.state, "the registry refused the servers" in task.message) == (TaskState.FAILED, True)
    fake.fails = False
    assert (await bench.done(Target(NEW))).state is TaskState.DONE


async def test_the_zone_that_ovh_exports_is_read(bench: RegistrarApiBench, fake: FakeOvh) -> None:
    fake.zones["acme.example"] = (
        "$TTL 3600\n@\tIN SOA dns100.ovh.net. tech.ovh.net. (2026010100 86400 3600 3600000 60)\n"
        "         IN NS     dns100.ovh.net.\n         IN MX     1 mx0.mail.ovh.net.\n"
        "www      600 IN A      192.0.2.80\nmail IN CNAME ssl0.ovh.net.\n"
    )
    found = await records(bench)
    assert found["www.acme.example.", "A", 600] == ("192.0.2.80",)
    assert found["acme.example.", "MX", 3600] == ("1 mx0.mail.ovh.net.",)
    assert found["mail.acme.example.", "CNAME", 3600] == ("ssl0.ovh.net.",)


async def test_a_rule_that_the_consumer_key_lacks_is_named(bench: RegistrarApiBench, fake: FakeOvh) -> None:
    fake.rules = [("GET", "/domain/*"), ("POST", "/domain/*/dsRecord/update")]
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.valid, access.can_read, access.can_write_ns, access.can_write_ds) == (True, True, False, True)
    assert "GET|PUT|POST /domain/*" in access.obstacles[0].user_action
    with pytest.raises(Permanent) as refused:
        await bench.apply(Target(NEW))
    assert (refused.value.reason, refused.value.metadata["rule"]) == ("PERMISSION_MISSING", "GET|PUT|POST /domain/*")
    fake.rules = []
    assert await reason(bench.read()) == "PERMISSION_MISSING"


@pytest.mark.parametrize("id", [100, 500, 1], ids=["name server", "key", "task"])
async def test_an_id_that_goes_while_the_list_is_read_is_no_reason_to_give_up(
    bench: RegistrarApiBench, fake: FakeOvh, id: int
) -> None:
    await bench.done(Target(OLD, (DS,), keys=(KEY,)))
    fake.vanished = {id}
    with pytest.raises(Temporary):
        await bench.apply(Target(NEW, (DS,), keys=(KEY,)))
    fake.vanished = set()
    assert (await bench.apply(Target(NEW, (DS,), keys=(KEY,)))).state is TaskState.RUNNING


async def test_a_consumer_key_that_is_not_validated_yet_is_not_accepted(
    bench: RegistrarApiBench, fake: FakeOvh
) -> None:
    fake.status = "pendingValidation"
    access = await bench.plugin.validate(credential=bench.credential, domain=bench.domain)
    assert (access.valid, access.obstacles[0].reason) == (False, "CREDENTIALS_REJECTED")


async def test_ds_without_their_keys_and_two_addresses_are_more_than_ovh_takes(bench: RegistrarApiBench) -> None:
    assert await unsupported(bench.apply(Target(OLD, (DS,)))) == "set_ds"
    host = f"ns.{bench.domain}."
    two = Target((host, NEW[0]), glue=(Glue(host, ("192.0.2.7", "192.0.2.8")),))
    with pytest.raises(NotSupported):
        await bench.apply(two)


async def test_a_ds_that_goes_goes_before_the_name_servers_do(bench: RegistrarApiBench, fake: FakeOvh) -> None:
    assert (await bench.done(Target(OLD, (DS,), keys=(KEY,)))).state is TaskState.DONE
    fake.is_slow = False
    assert (await bench.apply(Target(NEW))).state is TaskState.DONE
    posts = [request.path.split("/")[-2] for request in fake.seen if request.method == "POST"]
    assert posts == ["dsRecord", "dsRecord", "nameServers"]


async def test_the_fake_satisfies_ovhs_own_client(bench: RegistrarApiBench, fake: FakeOvh, monkeypatch: Any) -> None:
    monkeypatch.setitem(ovh.client.ENDPOINTS, "ovh-eu", f"{fake.url}/1.0")
    fake.is_slow = False

    def use() -> list[str]:
        client = ovh.Client("ovh-eu", APP, SECRET, CONSUMER)
        assert client.get("/auth/currentCredential")["status"] == "validated"
        client.put("/domain/acme.example", nameServerType="external")
        servers = [{"host": host.rstrip(".")} for host in NEW]
        client.post("/domain/acme.example/nameServers/update", nameServers=servers)
        with pytest.raises(ovh.exceptions.ResourceNotFoundError):
            client.get("/domain/stranger.example")
        with pytest.raises(ovh.exceptions.InvalidCredential):
            ovh.Client("ovh-eu", APP, SECRET, "another").get("/domain/acme.example")
        ids = client.get("/domain/acme.example/nameServer")
        return [client.get(f"/domain/acme.example/nameServer/{id}")["host"] for id in ids]

    found = await asyncio.to_thread(use)
    assert tuple(f"{host}." for host in found) == (await bench.read()).ns == NEW
