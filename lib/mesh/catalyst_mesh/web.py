"""JSON over HTTP for the few questions that a daemon has to somebody outside the mesh."""

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SECONDS = 5.0
"""Patience with an answer; the call that has to wait for it waits no longer."""
LARGEST = 512 * 1024
"""Bytes of an answer."""


class _Shared:
    """A client in the hands of several questions; given up, it is closed by the last of them and takes none of them down."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._users = 0
        self._is_given_up = False

    async def __aenter__(self) -> Any:
        self._users += 1
        return self.client

    async def __aexit__(self, *_: object) -> None:
        self._users -= 1
        await self._close_unused()

    async def give_up(self) -> None:
        """Nobody else takes it up."""
        self._is_given_up = True
        await self._close_unused()

    async def _close_unused(self) -> None:
        if self._is_given_up and not self._users:
            await self.client.aclose()


class Web:
    """One HTTP client, made when it is first needed and anew after a failure, so that changed certificates are seen."""

    def __init__(self, ca: Path | None = None, token: Callable[[], str] = lambda: "") -> None:
        """Wire it.

        ca     certificates by which servers are checked, PEM; None: those of the system
        token  asked at each question, so that a renewed token is used at once
        """
        self._ca = ca
        self._token = token
        self._shared: _Shared | None = None

    async def get(self, url: str) -> Any:
        """The JSON at `url`. Raises OSError where it cannot be had, ValueError where it is none."""
        return await self._ask("GET", url)

    async def post(self, url: str, body: Any) -> Any:
        """The JSON that `url` answers `body` with. Raises as `get`."""
        return await self._ask("POST", url, body)

    async def close(self) -> None:
        """Close the client; questions that are under way still get their answers."""
        if self._shared is not None:
            shared, self._shared = self._shared, None
            await shared.give_up()

    async def _ask(self, method: str, url: str, body: Any = None) -> Any:
        import httpx  # 8 MiB that a daemon without anybody outside need not carry

        token = self._token()
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        shared = self._shared = self._shared or self._made()
        try:
            async with shared as client, client.stream(method, url, headers=headers, json=body) as answer:
                return json.loads(await _read(answer))
        except httpx.HTTPError as error:
            if self._shared is shared:  # else another question has noticed before
                await self.close()
            raise OSError(type(error).__name__) from error

    def _made(self) -> _Shared:
        import httpx

        secure = ssl.create_default_context(cafile=str(self._ca) if self._ca else None)
        return _Shared(httpx.AsyncClient(timeout=SECONDS, verify=secure, trust_env=False, follow_redirects=False))


def demand_safe(url: str) -> None:
    """Raises ValueError unless `url` is HTTPS, or HTTP on this machine."""
    parts = urlsplit(url)
    local = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not (parts.scheme == "https" and parts.hostname) and not local:
        raise ValueError("it must be an https URL")


async def _read(answer: Any) -> bytes:
    if not answer.is_success:
        raise OSError(f"answered {answer.status_code}")
    read = bytearray()
    async for part in answer.aiter_bytes():
        read += part
        if len(read) > LARGEST:
            raise ValueError("the answer is too large")
    return bytes(read)
