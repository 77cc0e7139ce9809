"""Conformance of the lease surface of an HTTP cell: fourteen cases. A subclass provides the fixture `surface`."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"


@dataclass(frozen=True)
class Surface:
    """Where it is, what it wants to see, and a lease of this test's own."""

    url: str
    token: str
    slot: str

    async def call(self, method: str, *, token: str | None = None, body: Any = None, **headers: str) -> httpx.Response:
        shown = {} if token == "" else {"Authorization": f"Bearer {token or self.token}"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            return await client.request(method, f"{self.url}/lease/{self.slot}", headers={**shown, **named}, json=body)

    async def take(self, op: str, holder: str, generation: int, ttl: float = 60) -> httpx.Response:
        wish = {"op": op, "holder": holder, "ttlSeconds": ttl}
        return await self.call("PUT", body=wish, If_Match=str(generation))

    async def release(self, holder: str, generation: int) -> httpx.Response:
        return await self.call("DELETE", If_Match=str(generation), X_Holder=holder)

    async def generation(self) -> int:
        return int((await self.call("GET")).json()["generation"])


def fresh(url: str, token: str) -> Surface:
    """With a slot that nobody used."""
    return Surface(url, token, f"s{uuid4().hex}")


class LeaseSurfaceSuite:
    """What every lease surface does."""

    async def test_a_lease_that_nobody_took_is_absent(self, surface: Surface) -> None:
        assert (await surface.call("GET")).status_code == 404

    async def test_a_free_lease_is_acquired(self, surface: Surface) -> None:
        taken = await surface.take("acquire", EAST, 0)
        assert (taken.status_code, taken.json()["holder"], taken.json()["generation"]) == (200, EAST, 1)

    async def test_a_lease_that_is_there_shows_its_whole_state(self, surface: Surface) -> None:
        taken = await surface.take("acquire", EAST, 0)
        shown = await surface.call("GET")
        assert (shown.status_code, shown.json()) == (200, taken.json())
        assert set(shown.json()) == {"holder", "acquiredAt", "expiresAt", "generation"}

    async def test_a_lease_that_is_held_is_not_acquired_by_another(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0)
        refused = await surface.take("acquire", WEST, 1)
        assert (refused.status_code, refused.json()["holder"]) == (412, EAST)

    async def test_a_stale_generation_acquires_nothing(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0)
        await surface.release(EAST, 1)
        assert (await surface.take("acquire", WEST, 1)).status_code == 412
        assert (await surface.take("acquire", WEST, 2)).status_code == 200

    async def test_the_holder_renews(self, surface: Surface) -> None:
        first = (await surface.take("acquire", EAST, 0, ttl=5)).json()
        renewed = (await surface.take("renew", EAST, 1, ttl=50)).json()
        assert renewed["acquiredAt"] == first["acquiredAt"]
        assert renewed["expiresAt"] > first["expiresAt"]

    async def test_another_does_not_renew(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0)
        assert (await surface.take("renew", WEST, 1)).status_code == 412
        assert (await surface.call("GET")).json()["holder"] == EAST

    async def test_the_holder_releases(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0)
        assert (await surface.release(EAST, 1)).status_code == 204
        assert (await surface.take("acquire", WEST, 2)).status_code == 200

    async def test_another_does_not_release(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0)
        assert (await surface.release(WEST, 1)).status_code == 412
        assert (await surface.call("GET")).json()["holder"] == EAST

    async def test_a_stale_generation_releases_nothing(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0)
        await surface.take("renew", EAST, 1)
        assert (await surface.release(EAST, 1)).status_code == 412
        assert (await surface.call("GET")).json()["holder"] == EAST

    async def test_an_expired_lease_is_not_evicted_and_can_be_taken(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0, ttl=0.000001)
        shown = await surface.call("GET")
        assert (shown.status_code, shown.json()["holder"], shown.json()["generation"]) == (200, EAST, 1)
        assert (await surface.take("acquire", WEST, 1)).json()["generation"] == 2

    async def test_the_generation_grows_with_every_write_a_release_too(self, surface: Surface) -> None:
        await surface.take("acquire", EAST, 0)
        await surface.take("renew", EAST, 1)
        await surface.release(EAST, 2)
        assert await surface.generation() == 3
        await surface.take("acquire", EAST, 3)
        assert await surface.generation() == 4

    @pytest.mark.parametrize("token", ["", "wrong"])
    async def test_without_the_token_nothing_is_read_or_written(self, surface: Surface, token: str) -> None:
        wish = {"op": "acquire", "holder": WEST, "ttlSeconds": 60}
        assert (await surface.call("PUT", token=token, body=wish, If_Match="0")).status_code == 401
        assert (await surface.call("GET", token=token)).status_code == 401
        assert (await surface.call("GET")).status_code == 404

    async def test_of_many_who_acquire_at_once_one_wins(self, surface: Surface) -> None:
        told = await asyncio.gather(*(surface.take("acquire", f"{EAST}-{n}", 0) for n in range(8)))
        assert sorted(answer.status_code for answer in told) == [200, *[412] * 7]
        winner = next(answer for answer in told if answer.status_code == 200)
        assert (await surface.call("GET")).json() == winner.json()
