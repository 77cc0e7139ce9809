"""Domains at Dynadot: the suite and Dynadot's own ways. No client library of it is known to us."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalyst_registrar_dynadot.plugin import catalyst_plugin
from catalyst_sdk import PluginFailure, RateLimited, Temporary
from catalyst_sdk.registrar import Glue, Target, TaskState
from catalyst_testkit.registrar_bench import NEW, OLD, RegistrarApiBench, records
from catalyst_testkit.registrar_benches import api_bench
from catalyst_testkit.registrar_endings import reason, unsupported
from catalyst_testkit.registrar_suite import RegistrarApiSuite

from .fake_dynadot import KEY, FakeDynadot, Shape

GOOD = {"key": KEY, "secret": "canary-secret-0123456789"}
REJECTED = {"key": "canary-wrong-key"}
BROKEN = {"secret": "canary-lonely-secret"}


@pytest.fixture
def fake() -> FakeDynadot:
    return FakeDynadot()


@pytest.fixture
async def bench(fake: FakeDynadot, tmp_path: Path) -> AsyncIterator[RegistrarApiBench]:
    async with api_bench(
        fake, catalyst_plugin, tmp_path, base="/api3.json", good=GOOD, rejected=REJECTED, broken=BROKEN,
        hidden=("key", "secret"), write="GET /api3.json?command=set_ns&",
    ) as one:  # fmt: skip
        yield one


class TestConformance(RegistrarApiSuite):
    """The suite that every registrar with an API passes."""


@pytest.mark.parametrize("shape", Shape)
async def test_every_shape_of_its_answers_is_understood(
    bench: RegistrarApiBench, fake: FakeDynadot, shape: Shape
) -> None:
    fake.shape = shape
    assert (await bench.done(Target(NEW))).state is TaskState.DONE
    assert await reason(bench.plugin.delegation(credential=bench.credential, domain=bench.strange)) == (
        "DOMAIN_NOT_IN_ACCOUNT"
    )


@pytest.mark.parametrize("shape", Shape)
async def test_records_of_its_own_name_servers_are_read(
    bench: RegistrarApiBench, fake: FakeDynadot, shape: Shape
) -> None:
    fake.shape = shape
    fake.records = {
        "MainDomains": [
            {"RecordType": "A", "Value": "192.0.2.80"}, {"RecordType": "MX", "Value": "mail.example.net", "Value2": "10"},
        ],
        "SubDomains": [
            {"Subhost": "www", "RecordType": "CNAME", "Value": "acme.example"},
            {"Subhost": "old", "RecordType": "Forward", "Value": "https://example.net"},
        ],
        "TTL": "1800",
    }  # fmt: skip
    assert await records(bench) == {
        ("acme.example.", "A", 1800): ("192.0.2.80",),
        ("acme.example.", "MX", 1800): ("10 mail.example.net.",),
        ("www.acme.example.", "CNAME", 1800): ("acme.example.",),
        ("left out", "FORWARD of old.acme.example.", 0): (),
    }


async def test_a_foreign_server_is_added_first_and_may_be_known_already(
    bench: RegistrarApiBench, fake: FakeDynadot
) -> None:
    fake.servers["ns1.new.example"] = (99, [])
    assert (await bench.done(Target(NEW))).state is TaskState.DONE
    commands = [request.query["command"] for request in fake.seen]
    assert commands.count("add_ns") == 2
    assert set(fake.servers) == {host.rstrip(".") for host in NEW}


async def test_a_server_within_the_domain_is_registered_with_its_address_and_later_moved(
    bench: RegistrarApiBench, fake: FakeDynadot
) -> None:
    host = f"ns.{bench.domain}."
    for address in ("192.0.2.7", "192.0.2.8"):
        target = Target((host, NEW[0]), glue=(Glue(host, (address,)),))
        assert (await bench.done(target)).state is TaskState.DONE
        assert fake.servers["ns.acme.example"][1] == [address]
    commands = [request.query["command"] for request in fake.seen]
    assert (commands.count("register_ns"), commands.count("set_ns_ip")) == (1, 1)
    other = f"ns2.{bench.domain}."
    two = Target((other, NEW[0]), glue=(Glue(other, ("192.0.2.7", "192.0.2.9")),))
    assert await unsupported(bench.apply(two)) == "glue"


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        ("invalid api key", "CREDENTIALS_REJECTED"), ("invalid key", "CREDENTIALS_REJECTED"),
        ("Invalid Auth", "CREDENTIALS_REJECTED"), ("domain not found", "DOMAIN_NOT_IN_ACCOUNT"),
        ("you do not own this domain", "DOMAIN_NOT_IN_ACCOUNT"),
        ("this domain is not in your account", "DOMAIN_NOT_IN_ACCOUNT"),
        ("x.example needs to be registered with an ip address", "NAMESERVER_REJECTED"),
        ("Please unlock your domain firstly.", "DOMAIN_LOCKED"), ("the keyboard is broken", "PROTOCOL_MISMATCH"),
    ],
)  # fmt: skip
async def test_its_sentences_have_these_meanings(
    bench: RegistrarApiBench, fake: FakeDynadot, sentence: str, meaning: str
) -> None:
    fake.error = sentence
    assert await reason(bench.read()) == meaning


@pytest.mark.parametrize(
    ("sentence", "kind"), [("too many requests", RateLimited), ("system_busy", Temporary), ("try again", Temporary)]
)
async def test_what_passes_is_told_from_what_stays(
    bench: RegistrarApiBench, fake: FakeDynadot, sentence: str, kind: type[PluginFailure]
) -> None:
    fake.error = sentence
    with pytest.raises(kind):
        await bench.read()


async def test_servers_that_the_registry_tests_and_does_not_take_are_rejected(
    bench: RegistrarApiBench, fake: FakeDynadot
) -> None:
    honest = fake.answer

    def registry(request):
        fake.error = "name server check failed at registry" if request.query.get("command") == "set_ns" else ""
        return honest(request)

    fake.answer = registry
    assert await reason(bench.apply(Target(NEW))) == "NAMESERVER_REJECTED"


async def test_an_account_is_asked_one_thing_at_a_time(bench: RegistrarApiBench, fake: FakeDynadot) -> None:
    plugin, now, most = bench.plugin, 0, 0
    served = fake.serve

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        await served(reader, writer)
        now -= 1

    server = await asyncio.start_server(counted, "127.0.0.1", 0)
    async with server:
        plugin = bench.make(server.sockets[0].getsockname()[1])
        await asyncio.gather(*(bench.read(plugin) for _ in range(8)))
    assert most == 1


async def test_a_204_or_an_answer_without_a_code_is_not_success(bench: RegistrarApiBench, fake: FakeDynadot) -> None:
    fake.is_deaf = True
    with pytest.raises(Temporary) as lost:
        await bench.apply(Target(NEW))
    assert lost.value.metadata["outcome"] == "unknown"
    assert set((await bench.read()).ns) == set(OLD)
