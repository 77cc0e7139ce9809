"""Requests to addresses that strangers choose: each goes to the very address that was looked at, and to none that is ours."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from catalyst_sdk.addresses import is_public, parse

from .domain.webhooks import Attempt, WebhookUrlRefused, demand_url

SECONDS = 10.0
"""Patience with a receiver, from the look-up of its name to the beginning of its answer."""
LOOK_UP = 2.0
"""Seconds for the look at a name that somebody wants to save."""
EXCERPT = 1024
"""Bytes of an answer that are kept."""
Resolve = Callable[[str], Awaitable[Sequence[str]]]


class Sender:
    """Sends to receivers of webhooks."""

    def __init__(
        self, *, allow_private: bool = False, own_networks: Sequence[str] = (), resolve: Resolve | None = None,
        seconds: float = SECONDS,
    ) -> None:  # fmt: skip
        """Wire it.

        allow_private  development: this machine and plain HTTP are let through
        own_networks   public addresses that are the house's own
        """
        self._allow_private = allow_private
        self._own = [ipaddress.ip_network(one) for one in own_networks]
        self._resolve = resolve or resolved
        self._seconds = seconds
        self._client: Any = None

    async def demand(self, url: str) -> None:
        """Let an address pass that may be saved. Raises WebhookUrlRefused.

        A name that nobody resolves now passes: it is looked up again for each delivery.
        """
        host = demand_url(url, allow_private=self._allow_private)
        try:
            async with asyncio.timeout(LOOK_UP):
                self._demand_foreign(url, await self._addresses(host))
        except (OSError, TimeoutError):
            return

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, at: datetime) -> Attempt:
        """One try, however it ends. `at` is the moment that is noted."""
        began = time.monotonic()

        def ended(status: int = 0, **more: Any) -> Attempt:
            return Attempt(at, status, timedelta(seconds=time.monotonic() - began), **more)

        try:
            async with asyncio.timeout(self._seconds):
                return await self._asked(url, headers, body, at, ended)
        except TimeoutError:
            return ended(error=f"no answer within {self._seconds:.0f} s")
        except WebhookUrlRefused as error:
            return ended(error=str(error))
        except OSError as error:  # of names, sockets and TLS
            return ended(error=f"{type(error).__name__}: {error.strerror or error}"[:200])

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _asked(
        self, url: str, headers: Mapping[str, str], body: bytes, at: datetime, ended: Callable[..., Attempt]
    ) -> Attempt:
        import httpx  # 8 MiB that a daemon without webhooks need not carry

        host = demand_url(url, allow_private=self._allow_private)
        addresses = await self._addresses(host)
        self._demand_foreign(url, addresses)
        there, http = httpx.URL(url), self._opened(httpx)
        request = http.build_request(
            "POST",
            there.copy_with(host=addresses[0]),
            content=body,
            headers={**headers, "host": there.netloc.decode("ascii")},
            extensions={"sni_hostname": host},
        )  # fmt: skip - one request
        try:
            answer = await http.send(request, stream=True)
            try:
                pause = _pause(answer.headers.get("retry-after", ""), at)
                return ended(answer.status_code, answer=await _excerpt(answer), retry_after=pause)
            finally:
                await answer.aclose()
        except httpx.HTTPError as error:
            return ended(error=type(error).__name__)

    def _opened(self, httpx: Any) -> Any:
        if self._client is None:
            # Nothing is kept open: two names may share an address, and a connection was checked for one of them.
            none = httpx.Limits(max_keepalive_connections=0)
            self._client = httpx.AsyncClient(
                timeout=None, verify=ssl.create_default_context(), trust_env=False, follow_redirects=False, limits=none
            )
        return self._client

    async def _addresses(self, host: str) -> Sequence[str]:
        found = [host] if parse(host) is not None else await self._resolve(host)
        if not found:
            raise OSError(f"{host} has no address")
        return found

    def _demand_foreign(self, url: str, addresses: Sequence[str]) -> None:
        """One that is not the world's is enough to refuse them all."""
        if self._allow_private:
            return
        for text in addresses:
            address = parse(text)
            if address is None or not is_public(address) or any(address in network for network in self._own):
                raise WebhookUrlRefused(url=url, why=f"its address {text} is none that may be called")


async def resolved(host: str) -> Sequence[str]:
    """The addresses of a name, by this machine's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def _excerpt(answer: Any) -> str:
    """The first bytes of what it says, as text without a NUL, which PostgreSQL would not keep."""
    read = b""
    async for part in answer.aiter_bytes():
        read += part
        if len(read) >= EXCERPT:
            break
    return read[:EXCERPT].decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _pause(text: str, now: datetime) -> timedelta:
    """`Retry-After` in either of its forms (RFC 9110, section 10.2.3); none where it is neither."""
    if text.isascii() and text.isdecimal() and len(text) < 8:
        return timedelta(seconds=int(text))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return timedelta()
    return max(timedelta(), (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now)
