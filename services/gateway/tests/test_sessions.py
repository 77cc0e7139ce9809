"""Sessions of browsers: what a cookie is worth, for how long, and to whom."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from catalyst_gateway.providers import Provider, ProviderAway, SignInRejected, Tokens
from catalyst_gateway.sessions import CrossSite, Sessions
from catalyst_gateway.settings import GatewaySettings
from catalyst_gateway.store import Store, metadata
from catalyst_mesh import DaemonSettings, Database, Sealer, Work
from catalyst_mesh.trust import verifier
from catalyst_testkit import eventually
from litestar import Request

from .fake_daemons import FakeDaemons
from .looking import looking

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass
class FakeProvider:
    """Renews as long as it is told to, and counts."""

    gives: bool = True
    asked: list[str] = field(default_factory=list)
    holds: asyncio.Event | None = None
    is_away: bool = False

    async def renewed(self, refresh: str) -> Tokens | None:
        self.asked.append(refresh)
        await (self.holds.wait() if self.holds else asyncio.sleep(0))
        if self.is_away:
            raise ProviderAway
        return Tokens(f"access-{len(self.asked) + 1}", f"refresh-{len(self.asked) + 1}", None) if self.gives else None


@dataclass
class Bench:
    sessions: Sessions
    work: Work[Store]
    provider: FakeProvider
    now: datetime = NOON

    async def signed_in(self, subject: str = "ada", *, until: datetime | None = None) -> str:
        """The secret of a new session's cookie."""
        return secret_of(await self.sessions.open(Tokens("access-1", "refresh-1", until), subject))

    async def token(self, secret: str, **more: Any) -> str:
        """What the session of a cookie is worth now; empty for nothing."""
        found = await self.sessions.resolve(asking(secret), **more)
        return found.token if found else ""


def secret_of(cookie: str) -> str:
    return cookie.partition("=")[2].partition(";")[0]


def asking(secret: str, method: str = "GET", **headers: str) -> Any:
    raw = [(b"cookie", f"__Host-catalyst={secret}".encode()), *((k.encode(), v.encode()) for k, v in headers.items())]
    scope = {"type": "http", "method": method, "path": "/", "headers": raw, "query_string": b""}
    return Request(cast(Any, scope))


@pytest.fixture
async def bench(database: str, home: Path) -> AsyncIterator[Bench]:
    db = await Database.open(database, metadata=metadata)
    work, provider = Work(db, Store, metadata=metadata), FakeProvider()
    settings = GatewaySettings(data_folder=home, database_url=database, jwks_file=home / "none")
    bench = Bench(cast(Any, None), work, provider)
    bench.sessions = Sessions(
        settings, work=work, sealer=Sealer(bytes(32)), provider=cast(Any, provider), clock=lambda: bench.now
    )
    yield bench
    await db.close()


async def test_the_store_has_neither_the_secret_nor_the_tokens(bench: Bench) -> None:
    secret = await bench.signed_in()
    assert await bench.token(secret) == "access-1"
    async with bench.work.reading() as tx:
        (row,) = await tx.sessions("ada")
    assert not any(found in str(row) for found in (secret, "access-1", "refresh-1"))
    assert await bench.token("guessed") == ""


async def test_a_secret_is_replaced_and_a_copy_of_the_old_one_ends_the_session_for_both(bench: Bench) -> None:
    old = await bench.signed_in()
    bench.now += timedelta(minutes=16)
    rotated = await bench.sessions.resolve(asking(old), rotate=True)
    assert rotated is not None
    new = secret_of(rotated.cookie)
    bench.now += timedelta(seconds=30)
    assert await bench.token(old) == await bench.token(new) == "access-1", "a request may have been under way"
    bench.now += timedelta(minutes=2)
    assert await bench.token(new) == "access-1"
    assert await bench.token(old) == ""
    assert await bench.token(new) == "", "whoever has the copy, or was robbed of it, signs in anew"


async def test_signing_out_everywhere_is_for_one_person_and_all_browsers(bench: Bench) -> None:
    here, there, other = await bench.signed_in(), await bench.signed_in(), await bench.signed_in("bob")
    await bench.sessions.sign_out(asking(here), everywhere=True)
    assert [await bench.token(secret) for secret in (here, there, other)] == ["", "", "access-1"]


async def test_a_token_is_renewed_once_however_many_ask(bench: Bench) -> None:
    secret = await bench.signed_in(until=NOON + timedelta(minutes=15))
    bench.now += timedelta(minutes=15)
    assert set(await asyncio.gather(*(bench.token(secret) for _ in range(5)))) == {"access-2"}
    assert bench.provider.asked == ["refresh-1"]


async def test_while_a_provider_takes_its_time_others_go_on_with_the_token_that_lasts(bench: Bench) -> None:
    secret = await bench.signed_in(until=NOON + timedelta(minutes=15))
    bench.now += timedelta(minutes=14, seconds=50)
    bench.provider.holds = asyncio.Event()
    first = asyncio.create_task(bench.token(secret))
    await eventually(lambda: bench.provider.asked, within=60)
    assert await bench.token(secret) == "access-1"
    assert await bench.signed_in("bob"), "nothing is locked meanwhile"
    first.cancel()  # its browser has gone, and the refresh token is spent
    bench.provider.holds.set()

    async def is_renewed() -> bool:
        return await bench.token(secret) == "access-2"

    await eventually(is_renewed, within=60)
    assert bench.provider.asked == ["refresh-1"]


async def test_a_renewal_that_failed_or_whose_replica_died_is_another_request_s(bench: Bench) -> None:
    secret = await bench.signed_in(until=NOON + timedelta(minutes=15))
    bench.now += timedelta(minutes=15)
    bench.provider.is_away = True
    for _ in range(2):
        with pytest.raises(ProviderAway):
            await bench.token(secret)
    bench.provider.is_away, bench.provider.holds = False, asyncio.Event()
    dying = asyncio.create_task(bench.token(secret))  # what it asked is never answered
    await eventually(lambda: len(bench.provider.asked) == 3, within=60)
    dying.cancel()
    bench.now += timedelta(minutes=2)
    bench.provider.holds = None
    assert await bench.token(secret) == "access-5"


async def test_whom_the_provider_no_longer_knows_is_signed_out(bench: Bench) -> None:
    secret = await bench.signed_in(until=NOON + timedelta(minutes=15))
    bench.now += timedelta(minutes=15)
    bench.provider.gives = False
    assert await bench.token(secret) == ""
    async with bench.work.reading() as tx:
        assert await tx.sessions("ada") == []


async def test_a_session_ends_by_itself(bench: Bench) -> None:
    secret = await bench.signed_in()
    bench.now += timedelta(days=31)
    assert await bench.token(secret) == ""


async def test_a_write_with_a_cookie_carries_the_token_of_its_page(bench: Bench) -> None:
    secret = await bench.signed_in()
    page = await bench.sessions.resolve(asking(secret))
    assert page is not None
    for headers in ({}, {"x-csrf-token": "guessed"}):
        write = asking(secret, "POST", **headers)
        await bench.sessions.resolve(write)
        with pytest.raises(CrossSite):
            bench.sessions.token(write)
    write = asking(secret, "POST")
    await bench.sessions.resolve(write)
    assert bench.sessions.token(write, given=page.csrf) == "access-1"


async def test_somebody_signs_in_by_a_provider_that_others_made(daemons: FakeDaemons, home: Path) -> None:
    """oidc-provider-mock, run as its own process: code and PKCE, and back with a session."""
    program = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*program, stdout=-1, stderr=-2)
    try:
        assert process.stdout is not None
        found = None
        async with asyncio.timeout(60):
            while not found:
                found = re.search(rb"http://(?:localhost|127\.0\.0\.1):(\d+)", await process.stdout.readline())
        issuer = f"http://localhost:{found[1].decode()}"
        back = "http://console.test/console/sign-in/back"
        provider = Provider(issuer, client="catalyst", secret="any", back=back)
        checks = verifier("gateway", DaemonSettings(oidc_issuer=issuer, jwks_file=home / "none"))
        async with looking(daemons, home, provider=provider, checks=checks) as look:
            begun = {
                "host": "localhost:7400"
            }  # what a browser keeps for this name is not sent to the other on the way back
            moved = await look.at("/console/sign-in/go?next=/console/new", roles=(), headers=begun)
            there = urlsplit(moved.headers["location"])
            assert (moved.status, f"{there.scheme}://{there.netloc}{there.path}") == (303, back.replace("back", "go"))
            proxied = await look.at(f"{there.path}?{there.query}", roles=(), headers=begun)
            assert proxied.headers["location"].startswith(issuer), "a host that a proxy changes leads to no ring"
            went = await look.at(f"{there.path}?{there.query}", roles=())
            state = {"cookie": went.headers["set-cookie"].partition(";")[0]}
            async with httpx.AsyncClient() as http:
                await http.put(f"{issuer}/users/ada", json={"groups": ["/acme/owner"]})
                agreed = await http.post(went.headers["location"], data={"sub": "ada"})
            way = agreed.headers["location"].removeprefix("http://console.test")
            stranger = await look.at(way, roles=())
            assert "not begun in this browser" in stranger.text
            there = await look.at(way, roles=(), headers=state)
            assert (there.status, there.headers["location"]) == (303, "/console/new")
            page = await look.at(
                "/console/new", roles=(), headers={"cookie": there.headers["set-cookie"].partition(";")[0]}
            )
            assert (page.status, "ada" in page.text, "acme" in page.text) == (200, True, True)
            again = await look.at(way, roles=(), headers=state)
            assert "was done already" in again.text
            with pytest.raises(SignInRejected):
                await provider.tokens("guessed", verifier="x" * 43, nonce="n")
        await checks.close()
    finally:
        process.terminate()
        await process.communicate()
