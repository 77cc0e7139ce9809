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


class Web:
    """One HTTP client, made when it is first needed and anew after a failure, so that changed certificates are seen."""

    def __init__(self, ca: Path | None = None, token: Callable[[], str] = lambda: "") -> None:
        """Wire it.

        ca     certificates by which servers are checked, PEM; None: those of the system
        token  asked at each question, so that a renewed token is used at once
        """
        self._ca = ca
        self._token = token
        self._client: Any = None

    async def get(self, url: str) -> Any:
        """The JSON at `url`. Raises OSError where it cannot be had, ValueError where it is none."""
        return await self._ask("GET", url)

    async def post(self, url: str, body: Any) -> Any:
        """The JSON that `url` answers `body` with. Raises as `get`."""
        return await self._ask("POST", url, body)

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()

    async def _ask(self, method: str, url: str, body: Any = None) -> Any:
        import httpx  # 8 MiB that a daemon without anybody outside need not carry

        if self._client is None:
            secure = ssl.create_default_context(cafile=str(self._ca) if self._ca else None)
            self._client = httpx.AsyncClient(timeout=SECONDS, verify=secure, trust_env=False, follow_redirects=False)
        token = self._token()
        headers = {"accept": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
        try:
            async with self._client.stream(method, url, headers=headers, json=body) as answer:
                return json.loads(await _read(answer))
        except httpx.HTTPError as error:
            await self.close()
            raise OSError(type(error).__name__) from error


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
