"""Calls of a registrar's API over HTTP: every answer is one of the four errors of the SDK, or worth reading.

What holds for every registrar
  no secrets      nothing that leaves has a secret of the credential in it: no error, no sample of an answer. Exceptions
                  of the HTTP client are not chained, because they hold the request, and some registrars want their key
                  in its URL;
  no blind retry  a read is tried again after a lost answer and after 5xx, a write never: whether it happened is unknown
                  until somebody has read;
  one answer      an answer that is not the registrar's own, such as a proxy's page, never means "there is no such domain".

It needs httpx, which comes with the extra `catalyst-sdk[http]` and is imported at the first call: a daemon that loads ten
registrars and uses none shouldn't pay for it.
"""

import asyncio
import importlib.util
import json
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from .credentials import Credential
from .failures import Permanent, PluginFailure, RateLimited, Temporary

if TYPE_CHECKING:
    import httpx

if importlib.util.find_spec("httpx") is None:
    raise ModuleNotFoundError("httpx is missing: install catalyst-sdk[http]")

TRY_SECONDS = 10.0
"""Longest wait for one answer."""
PAUSES = (0.025, 0.1)
"""Before the second and the third try of a read, as parts of the wait for an answer: 0.25 s and 1 s of 10 s."""
MOST_BYTES = 4 * 1024 * 1024
_SAMPLE = 200
_PAUSE = timedelta(seconds=60)
"""Where a registrar asks for a pause and does not say how long."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. Its text is the registrar's and may repeat what was sent: quote it by `Api.quoted` only."""

    status: int
    text: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def json(self) -> Any:
        """The text as JSON; None where it is none."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class Transports:
    """How one plugin reaches its registrar. Nothing is kept open between calls; no proxy or netrc gets a credential."""

    def __init__(self) -> None:
        self._made: dict[str, httpx.AsyncBaseTransport] = {}

    def of(self, url: str) -> "httpx.AsyncBaseTransport":
        """The transport for `url`, made when it is first needed: reading the trusted certificates takes its time."""
        import httpx

        scheme = url.partition(":")[0]
        if scheme not in self._made:
            # Without TLS nobody is trusted, so that no certificate need be read.
            trusted = True if scheme == "https" else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            limits = httpx.Limits(max_keepalive_connections=0)
            self._made[scheme] = httpx.AsyncHTTPTransport(verify=trusted, limits=limits, trust_env=False)
        return self._made[scheme]


class Api:
    """Calls with one credential.

    provider     name of the plugin, for errors
    try_seconds  for one answer
    """

    def __init__(
        self,
        transports: Transports,
        credential: Credential,
        *,
        provider: str,
        try_seconds: float = TRY_SECONDS,
    ) -> None:
        self._transports = transports
        self._credential = credential
        self.provider = provider
        self._try_seconds = try_seconds
        self.pauses = tuple(part * try_seconds for part in PAUSES)
        self._last = Reply(0, "")

    async def call(
        self,
        method: str,
        url: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: object = None,
        writes: bool | None = None,
    ) -> Reply:
        """The answer below 500 that is no call for a pause.

        writes   whether it changes something, and so must not be made twice; default: every method but GET
        raises   Temporary, RateLimited
        """
        asked = urlencode(list(query), quote_via=quote)
        whole = f"{url}?{asked}" if asked else url
        is_write = method != "GET" if writes is None else writes
        for pause in (*(() if is_write else self.pauses), None):
            try:
                return await self._once(method, whole, headers or {}, body)
            except Temporary as lost:
                if is_write:
                    raise unknown(self.provider, lost.message, delay=lost.delay) from None
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last try has no pause")

    async def _once(self, method: str, url: str, headers: Mapping[str, str], body: object) -> Reply:
        import httpx

        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        kind = {"Content-Type": "application/json"} if content else {}
        sent = {"Accept-Encoding": "gzip", "User-Agent": "catalyst", "Connection": "close", **kind, **headers}
        # Not by httpx.AsyncClient, which logs every URL.
        request = httpx.Request(method, url, headers=sent, content=content)
        request.extensions["timeout"] = httpx.Timeout(self._try_seconds).as_dict()
        lost = ""
        try:
            async with asyncio.timeout(self._try_seconds):
                self._last = reply = await self._read(await self._transports.of(url).handle_async_request(request))
        except (httpx.TransportError, httpx.DecodingError, TimeoutError) as error:
            lost = type(error).__name__
        if lost:  # outside of the handler: an exception raised there would carry the other one along
            raise Temporary(f"{self.provider} does not answer: {lost}", provider=self.provider)
        told = {"provider": self.provider, "provider_code": str(reply.status)}
        if reply.status == 429:
            raise RateLimited(f"{self.provider} asks for a pause", retry_after=pause_of(reply) or _PAUSE, **told)
        if reply.status >= 500:
            raise Temporary(f"{self.provider} failed: {reply.status}", delay=pause_of(reply), **told)
        return reply

    async def _read(self, response: "httpx.Response") -> Reply:
        try:
            found = bytearray()
            async for part in response.aiter_bytes():
                found += part
                if len(found) > MOST_BYTES:
                    break
        finally:
            await response.aclose()
        text = bytes(found[:MOST_BYTES]).decode("utf-8", "replace")
        return Reply(response.status_code, text, {name.lower(): value for name, value in response.headers.items()})

    def quoted(self, text: object, most: int = _SAMPLE) -> str:
        """What a registrar said, in one line, short, and without the credential."""
        # Veiled before it is cut, or half of a secret would stay.
        clean = self._credential.veil(str(text))
        return "".join(c if c.isprintable() else " " for c in clean)[:most].strip()

    def refused(self, reply: Reply, said: object = "", code: object = "") -> PluginFailure:
        """What an answer means for which the registrar's own table has no better word."""
        told = {"provider": self.provider, "provider_code": self.quoted(code or reply.status, 80)}
        if reply.status == 401:
            action = "check the credential, or make a new one at the registrar"
            return Permanent(
                "CREDENTIALS_REJECTED", self._sentence("does not take the credential", said), user_action=action, **told
            )
        if reply.status == 403:
            action = "give the credential the right to read and change the domain"
            return Permanent("PERMISSION_MISSING", self._sentence("denies it", said), user_action=action, **told)
        return self.misunderstood(f"status {reply.status}", code=code)

    def _sentence(self, fact: str, said: object) -> str:
        words = self.quoted(said)
        return f"{self.provider} {fact}: {words}" if words else f"{self.provider} {fact}"

    def misunderstood(self, what: str, code: object = "") -> Permanent:
        """The last answer has a shape that nobody expected; a sample of it is in the metadata."""
        return Permanent(
            "PROTOCOL_MISMATCH",
            f"{self.provider} answered in a way that is not understood: {self.quoted(what)}",
            provider=self.provider,
            provider_code=self.quoted(code or self._last.status, 80),
            user_action="see whether the registrar's site or a proxy before it is at work, then try again",
            sample=self.quoted(self._last.text),
        )


def unknown(provider: str, why: str, *, delay: timedelta | None = None) -> Temporary:
    """A write whose outcome nobody knows."""
    text = f"{why}; whether the change was made is unknown: read before trying again"
    return Temporary(text, delay=delay, provider=provider, outcome="unknown")


def pause_of(reply: Reply) -> timedelta | None:
    """Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    given = reply.headers.get("retry-after", "")
    if given.isdecimal():
        return timedelta(seconds=int(given[:6]))
    try:
        return max(parsedate_to_datetime(given) - datetime.now(UTC), timedelta(0)) if given else None
    except (TypeError, ValueError):
        return None


class Pace:
    """Keeps calls below what a registrar allows, account by account; who comes too soon is told when to come again.

    clock   seconds, as `time.monotonic`
    """

    def __init__(self, calls: int, per: timedelta, clock: Callable[[], float]) -> None:
        self._calls = calls
        self._per = per.total_seconds()
        self._clock = clock
        self._spent: dict[str, list[float]] = {}

    def spend(self, account: str, provider: str) -> None:
        """Count one call. Raises RateLimited."""
        now = self._clock()
        recent = [at for at in self._spent.get(account, ()) if at > now - self._per]
        self._spent = {name: times for name, times in self._spent.items() if times[-1] > now - self._per}
        if len(recent) >= self._calls:
            pause = timedelta(seconds=recent[0] + self._per - now)
            raise RateLimited(f"{provider} takes {self._calls} calls in {self._per:.0f} s", retry_after=pause)
        self._spent[account] = [*recent, now]
