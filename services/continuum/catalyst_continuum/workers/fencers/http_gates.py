"""Gateways that take their orders over HTTP, as the demo application's does: `GET` and `PUT /admission`.

PUT {"epoch", "open", "run"} answers {"epoch", "open", "in_flight"}, or 409 with the epoch that is known.
"""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from catalyst_sdk import Permanent, Secret, Temporary

from .gateway import Admission, StaleOrder

if TYPE_CHECKING:
    import httpx

PROVIDER = "gateway"


class HttpGates:
    """Gateways at `addresses`, `ip:port` by region, which all know one secret."""

    def __init__(self, addresses: Mapping[str, str], secret: Secret) -> None:
        self._addresses = addresses
        self._secret = secret
        self._made: httpx.AsyncClient | None = None

    async def admission(self, region: str, *, patience: float) -> Admission:
        """How the gateway of a region stands."""
        return await self._asked(region, "GET", None, patience)

    async def order(self, region: str, *, epoch: int, open: bool, run: str, patience: float) -> Admission:
        """Let writes through, or not."""
        return await self._asked(region, "PUT", {"epoch": epoch, "open": open, "run": run}, patience)

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.aclose()

    async def _asked(self, region: str, method: str, body: Mapping[str, Any] | None, patience: float) -> Admission:
        import httpx  # 8 MiB that a daemon without gateways need not carry

        if region not in self._addresses:
            raise Permanent("REGION_UNKNOWN", f"no gateway of {region} is configured", provider=PROVIDER)
        if self._made is None:
            # A connection for each question: one that was kept may lead to a process that is no more.
            self._made = httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
        url, headers = (
            f"http://{self._addresses[region]}/admission",
            {"Authorization": f"Bearer {self._secret.reveal()}"},
        )
        try:
            answer = await self._made.request(method, url, json=body, headers=headers, timeout=patience)
        except httpx.HTTPError as error:
            raise Temporary(
                f"the gateway of {region} does not answer: {type(error).__name__}", provider=PROVIDER
            ) from error
        return _read(region, answer.status_code, answer.text)


def _read(region: str, status: int, text: str) -> Admission:
    if status == 409:
        raise StaleOrder(region)
    if status == 401:
        raise Permanent("CREDENTIALS_REJECTED", f"the gateway of {region} wants another token", provider=PROVIDER)
    try:
        told = json.loads(text)
        inside = told["in_flight"]
        if status != 200 or not isinstance(told["open"], bool):
            raise ValueError(status)
        return Admission(int(told["epoch"]), told["open"], None if inside is None else int(inside))
    except (ValueError, KeyError, TypeError) as error:
        raise Temporary(
            f"the gateway of {region} answers with {status}, not with its state", provider=PROVIDER
        ) from error
