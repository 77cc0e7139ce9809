"""HTTP as a client of the public name speaks it: the name resolved by our own look-ups, the request sent to that address."""

import ssl
from dataclasses import dataclass
from typing import Any

from .naming import Names, Unresolved


class Unanswered(Exception):
    """No answer; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body of an answer; `body` None where it is no JSON."""

    status: int
    body: Any
    address: str

    @property
    def is_good(self) -> bool:
        """Whether it is a yes."""
        return 200 <= self.status < 400


class ByName:
    """One HTTP client. Connections are kept by address, so that a name that moved is followed with its next request."""

    def __init__(self, names: Names, *, timeout: float = 1.0, tls: ssl.SSLContext | None = None) -> None:
        self._names = names
        self._timeout = timeout
        self._tls = tls
        self._client: Any = None

    async def ask(self, method: str, url: str, body: Any = None) -> Answer:
        """One request, never a second one. Raises Unanswered."""
        import httpx  # 8 MiB that a daemon without names need not carry

        if self._client is None:
            verify = self._tls or ssl.create_default_context()
            self._client = httpx.AsyncClient(timeout=self._timeout, verify=verify, trust_env=False)
        there = httpx.URL(url)
        try:
            address = (await self._names.addresses(there.host))[0]
            request = self._client.build_request(
                method, there.copy_with(host=address), json=body, headers={"host": there.netloc.decode("ascii")},
                extensions={"sni_hostname": there.host},
            )  # fmt: skip
            answer = await self._client.send(request)
        except Unresolved as error:
            raise Unanswered(str(error)) from error
        except (httpx.HTTPError, OSError) as error:
            raise Unanswered(f"{url}: {type(error).__name__}") from error
        try:
            return Answer(answer.status_code, answer.json(), address)
        except ValueError:
            return Answer(answer.status_code, None, address)

    async def close(self) -> None:
        """Close the client."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.aclose()
