"""Calls of the HTTP API, and what its answers mean: only the four errors of the SDK leave here.

A server that cannot be understood is Temporary and never "absent": a wrong address or a proxy's page must not look like
a zone that is gone. Nothing of a request, of its headers or of an answer that could hold a key is ever told on.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from catalyst_sdk import Permanent, PluginFailure, RateLimited, Temporary

from .wire import Lost, Reply, Wire

PROVIDER = "dns_powerdns"
PAUSES = (0.25, 1.0)
"""Seconds before the second and the third try of a call that failed for a moment."""
_QUOTED = 256
_ASK_AGAIN = timedelta(seconds=1)
_CHECK_URL = "check `url`, and what stands between here and the server"
Headers = Callable[[], Awaitable[Mapping[str, str]]]
"""Made for each call, so that a key that was exchanged is used at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that the caller expected. `body` is None where the server sends none that matters."""

    status: int
    body: Any = None
    text: str = ""


class Api:
    """One server's API.

    url           base, without a final slash
    try_seconds   for one answer
    """

    def __init__(self, url: str, headers: Headers, try_seconds: float, pauses: tuple[float, ...] = PAUSES) -> None:
        self.url = url
        self._headers = headers
        self._pauses = pauses
        self._wire = Wire(url, try_seconds)  # no proxy and no netrc of the environment gets the key

    async def call(
        self, method: str, path: str, body: object = None, *, expected: tuple[int, ...] = (200,), again: bool = True
    ) -> Answer:
        """The answer, if its status is one of `expected`.

        again    False: a call that must not be made twice, whatever became of the first one
        raises   Temporary, RateLimited; Permanent("CREDENTIALS_REJECTED"), and "RECORD_INVALID" for 400 and 422
        """
        for pause in (*self._pauses, None):
            try:
                return await self._once(method, path, body, expected)
            except _Momentary as failure:
                # A write whose answer was lost may have been made: who reads first decides whether to make it again.
                may_repeat = again and (method == "GET" or failure.is_answer)
                if pause is None or not may_repeat:
                    raise failure.failure from failure.__cause__
                await asyncio.sleep(pause)
        raise AssertionError("the last try has no pause")

    async def _once(self, method: str, path: str, body: object, expected: tuple[int, ...]) -> Answer:
        headers = await self._headers()
        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        kind = {"Content-Type": "application/json"} if content else {}
        try:
            got = await self._wire.ask(method, path, content, {**kind, **headers})
        except Lost as error:
            lost = Temporary(f"PowerDNS does not answer: {error}", provider=PROVIDER)
            raise _Momentary(lost, is_answer=False) from error
        if got.status not in expected:
            raise _failure(got)
        if got.status not in (200, 201) or not got.content:
            return Answer(got.status, None, _text(got))
        return Answer(got.status, _json(got))


class _Momentary(Exception):
    """It may work in a moment. `is_answer`: the server said so itself, and then has done nothing."""

    def __init__(self, failure: PluginFailure, *, is_answer: bool) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.is_answer = is_answer


def misunderstood(what: str) -> Temporary:
    """The answer is no answer of PowerDNS."""
    return Temporary(f"this does not answer as PowerDNS does: {what}", provider=PROVIDER, user_action=_CHECK_URL)


def _failure(got: Reply) -> Exception:
    code, text = got.status, _text(got)
    told = {"provider": PROVIDER, "provider_code": str(code)}
    if code in (401, 403):
        action = "give the plugin the server's api-key, and allow our address in webserver-allow-from"
        return Permanent("CREDENTIALS_REJECTED", "PowerDNS does not take the API key", user_action=action, **told)
    if code == 429:
        return RateLimited(
            "PowerDNS, or a proxy before it, asks for a pause", retry_after=_wait(got) or _ASK_AGAIN, **told
        )
    if code in (400, 422):
        return Permanent("RECORD_INVALID", f"PowerDNS refused: {text}", **told)
    if code >= 500:
        failure = Temporary(f"PowerDNS failed: {code} {text}".strip(), delay=_wait(got), **told)
        return _Momentary(failure, is_answer=True)
    return misunderstood(f"status {code} {text}".strip())


def _json(got: Reply) -> Any:
    try:
        return got.json()
    except ValueError as error:
        # Never its text: an answer of this API may hold a private key.
        raise misunderstood(f"status {got.status} without JSON, {len(got.content)} octets") from error


def _text(got: Reply) -> str:
    """What the server says is wrong, in one line."""
    try:
        body = got.json()
        said = body.get("error", "") if isinstance(body, dict) else ""
    except ValueError:
        said = got.text
    return "".join(c if c.isprintable() else " " for c in str(said)[:_QUOTED]).strip()


def _wait(got: Reply) -> timedelta | None:
    """Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    given = got.headers.get("retry-after", "")
    if given.isdecimal():
        return timedelta(seconds=int(given[:6]))
    try:
        return max(parsedate_to_datetime(given) - datetime.now(UTC), timedelta(0)) if given else None
    except (TypeError, ValueError):
        return None
