"""Each call under each fault: exactly one of the four errors, nothing half-done that a repetition would not mend."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

import pytest
from catalyst_dns_powerdns.api import Api
from catalyst_dns_powerdns.plugin import PowerDnsBackend
from catalyst_sdk import NotSupported, Permanent, PluginFailure, RateLimited, Temporary
from catalyst_sdk.dns import Capability, Change, KeyOp, RecordSet, ZoneSpec, ZoneState
from catalyst_testkit.powerdns import API_KEY, PowerDnsServer, powerdns_server
from catalyst_testkit.spoiling import Spoil, SpoilingProxy, spoiling

OWNER = "organizations/one"
BASE = "/api/v1/servers/localhost"
MEANING: dict[Spoil, type[PluginFailure]] = {
    Spoil.LOST: Temporary, Spoil.SILENT: Temporary, Spoil.CUT: Temporary, Spoil.TORN: Temporary,
    Spoil.REFUSED: Temporary, Spoil.AWAY: Temporary, Spoil.BUSY: RateLimited, Spoil.STRANGER: Permanent,
    Spoil.PAGE: Temporary, Spoil.EMPTY: Temporary, Spoil.GONE: Temporary,
}  # fmt: skip
HARMLESS = {
    ("apply", Spoil.CUT), ("delete", Spoil.CUT),  # their answer has no text
    ("delete", Spoil.GONE),  # gone is what was wished; that it is not is seen by the read after it
}  # fmt: skip


@dataclass
class Bench:
    """A backend that reaches its server through a proxy, and one that reaches it without."""

    proxy: SpoilingProxy
    spoiled: PowerDnsBackend
    direct: PowerDnsBackend
    spec: ZoneSpec

    @property
    def zone(self) -> str:
        return self.spec.name

    @property
    def change(self) -> Change:
        return Change(f"a.{self.zone}", "A", 60, ("192.0.2.7",))


def backend(port: int, *, try_seconds: float = 30) -> PowerDnsBackend:
    async def headers() -> dict[str, str]:
        return {"X-API-Key": API_KEY}

    return PowerDnsBackend(Api(f"http://127.0.0.1:{port}{BASE}", headers, try_seconds, pauses=(0.01, 0.01)))


@pytest.fixture
async def bench(powerdns: PowerDnsServer) -> AsyncIterator[Bench]:
    zone = f"z{uuid4().hex[:10]}.faults.example."
    spec = ZoneSpec(zone, ("ns1.hosts.example.",), OWNER, (RecordSet(f"console.{zone}", "A", 60, ("192.0.2.1",)),))
    async with spoiling(powerdns.api_port) as proxy:
        yield Bench(proxy, backend(proxy.port, try_seconds=1), backend(powerdns.api_port), spec)


async def created(bench: Bench, by: PowerDnsBackend) -> None:
    await by.create_zone(spec=bench.spec)
    state = await there(bench)
    assert state.signed
    assert state.find(f"console.{bench.zone}", "A")


async def applied(bench: Bench, by: PowerDnsBackend) -> None:
    state = await by.apply(zone=bench.zone, changes=(bench.change,), revision=2)
    assert (state.revision, (await there(bench)).find(bench.change.name, "A")) == (
        2,
        state.find(bench.change.name, "A"),
    )


async def deleted(bench: Bench, by: PowerDnsBackend) -> None:
    await by.delete_zone(zone=bench.zone, owner=OWNER)
    assert await bench.direct.get_zone(zone=bench.zone) is None


async def published(bench: Bench, by: PowerDnsBackend) -> None:
    await by.dnssec(zone=bench.zone, op=KeyOp.PUBLISH)
    assert [key.active for key in (await there(bench)).keys] == [True, False]


async def found(bench: Bench, by: PowerDnsBackend) -> None:
    assert await by.get_zone(zone=bench.zone) == await there(bench)


async def there(bench: Bench) -> ZoneState:
    state = await bench.direct.get_zone(zone=bench.zone)
    assert state is not None
    return state


OPERATIONS: dict[str, tuple[str, Callable[[Bench, PowerDnsBackend], Awaitable[None]]]] = {
    "create": (f"POST {BASE}/zones", created),
    "apply": ("PATCH ", applied),
    "delete": ("DELETE ", deleted),
    "publish": (f"POST {BASE}/zones/z", published),
    "get": ("GET ", found),
}


@pytest.mark.parametrize("how", Spoil)
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_fault_becomes_one_error_and_the_same_call_mends_it_later(
    bench: Bench, operation: str, how: Spoil
) -> None:
    spoiled, call = OPERATIONS[operation]
    if operation != "create":
        await bench.direct.create_zone(spec=bench.spec)
    bench.proxy.spoil(spoiled, how)
    if (operation, how) not in HARMLESS:
        with pytest.raises(PluginFailure) as caught:
            await call(bench, bench.spoiled)
        assert type(caught.value) is MEANING[how]
        assert_useful(caught.value, how)
    bench.proxy.heal()
    await call(bench, bench.spoiled)


def assert_useful(failure: PluginFailure, how: Spoil) -> None:
    assert failure.provider == "dns_powerdns"
    assert failure.message
    assert "<html>" not in failure.message or how in (Spoil.GONE, Spoil.PAGE)
    if isinstance(failure, Permanent):
        assert failure.reason == "CREDENTIALS_REJECTED"
        assert "api-key" in failure.user_action
    if isinstance(failure, RateLimited):
        assert failure.retry_after.total_seconds() == 7
    if how is Spoil.AWAY:
        assert isinstance(failure, Temporary)
        assert failure.delay is not None
        assert failure.delay.total_seconds() == 7


@pytest.mark.parametrize("how", [Spoil.LOST, Spoil.REFUSED])
async def test_a_key_is_asked_for_once_until_somebody_has_read_whether_it_is_there(bench: Bench, how: Spoil) -> None:
    await bench.direct.create_zone(spec=bench.spec)
    bench.proxy.spoil(f"POST {BASE}/zones/", how)
    with pytest.raises(Temporary):
        await bench.spoiled.dnssec(zone=bench.zone, op=KeyOp.PUBLISH)
    assert sum(line.startswith("POST ") and line.endswith("/cryptokeys") for line in bench.proxy.seen) == 1
    bench.proxy.heal()
    await bench.spoiled.dnssec(zone=bench.zone, op=KeyOp.PUBLISH)
    assert len((await there(bench)).keys) == 2


async def test_writers_of_one_zone_follow_one_another_and_are_all_taken_at_their_first_try(bench: Bench) -> None:
    await bench.direct.create_zone(spec=bench.spec)
    changes = [Change(f"w{n}.{bench.zone}", "A", 60, ("192.0.2.9",)) for n in range(24)]
    counted = backend(bench.proxy.port)
    await asyncio.gather(*(counted.apply(zone=bench.zone, changes=(change,)) for change in changes))
    state = await there(bench)
    assert [c.name for c in changes if state.find(c.name, "A") is None] == []
    assert sum(line.startswith("PATCH ") for line in bench.proxy.seen) == len(changes)


async def test_a_server_that_publishes_cds_by_itself_is_not_asked_to() -> None:
    with powerdns_server(default_publish_cds="2", default_publish_cdnskey="1") as server:
        async with spoiling(server.api_port) as proxy:
            spec = ZoneSpec("own.example.", ("ns1.hosts.example.",), OWNER)
            await backend(proxy.port).create_zone(spec=spec)
            assert [line.split()[0] for line in proxy.seen] == ["POST", "GET"]
        for kind in ("CDS", "CDNSKEY"):
            assert (await server.ask(spec.name, kind)).answer


async def test_a_write_whose_answer_was_lost_is_made_once_until_somebody_has_read(bench: Bench) -> None:
    await bench.direct.create_zone(spec=bench.spec)
    bench.proxy.spoil("PATCH ", Spoil.LOST)
    with pytest.raises(Temporary):
        await bench.spoiled.apply(zone=bench.zone, changes=(bench.change,))
    assert sum(line.startswith("PATCH ") for line in bench.proxy.seen) == 1


async def test_a_server_that_failed_for_a_moment_is_asked_three_times(bench: Bench) -> None:
    await bench.direct.create_zone(spec=bench.spec)
    bench.proxy.spoil("PATCH ", Spoil.REFUSED)
    with pytest.raises(Temporary, match="database is locked"):
        await bench.spoiled.apply(zone=bench.zone, changes=(bench.change,))
    assert sum(line.startswith("PATCH ") for line in bench.proxy.seen) == 3


@pytest.mark.parametrize("wrong", ["/api/v1/servers/nosuch", "/api/v1/servers/localhost/zones", "/elsewhere"])
async def test_a_wrong_address_is_no_proof_that_a_zone_is_gone(powerdns: PowerDnsServer, wrong: str) -> None:
    async def headers() -> dict[str, str]:
        return {"X-API-Key": API_KEY}

    lost = PowerDnsBackend(Api(f"http://127.0.0.1:{powerdns.api_port}{wrong}", headers, 2.0))
    with pytest.raises(Temporary) as caught:
        await lost.get_zone(zone="nobody.example.")
    assert "url" in caught.value.user_action


async def test_a_server_that_is_killed_keeps_what_it_acknowledged(own_powerdns: PowerDnsServer) -> None:
    mine = backend(own_powerdns.api_port)
    spec = ZoneSpec("kept.example.", ("ns1.hosts.example.",), OWNER)
    before = await mine.create_zone(spec=spec)
    own_powerdns.kill()
    with pytest.raises(Temporary):
        await mine.get_zone(zone=spec.name)
    own_powerdns.start()
    assert await mine.get_zone(zone=spec.name) == before


async def test_without_dnssec_a_zone_is_not_made_and_nothing_of_it_stays() -> None:
    with powerdns_server(gsqlite3_dnssec="no") as server:
        mine = backend(server.api_port)
        assert await mine.probe() == {Capability.ZONE_LIFECYCLE, Capability.ATOMIC_BATCH, Capability.METADATA}
        with pytest.raises(NotSupported, match="dnssec"):
            await mine.create_zone(spec=ZoneSpec("plain.example.", ("ns1.hosts.example.",), OWNER))
        assert server.api("GET", "/zones").json() == []
