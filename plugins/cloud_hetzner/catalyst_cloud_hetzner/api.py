"""Reading Hetzner's API by its official client, off the loop; its errors become the SDK's.

Nothing here changes anything. The one call that is no read, `may_write`, cannot succeed: what it asks for is invalid.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from catalyst_sdk import Permanent, PluginFailure, RateLimited, Secret, Temporary
from catalyst_sdk.cloud import Discovered, Price
from catalyst_sdk.tofu.verdicts import by_code

from .facts import facts

if TYPE_CHECKING:
    from hcloud import Client

T = TypeVar("T")
PROVIDER = "hetzner"
KINDS: Mapping[str, str] = {
    "network": "networks",
    "placement_group": "placement_groups",
    "ssh_key": "ssh_keys",
    "firewall": "firewalls",
    "certificate": "certificates",
    "load_balancer": "load_balancers",
    "server": "servers",
    "volume": "volumes",
    "primary_ip": "primary_ips",
    "floating_ip": "floating_ips",
    "snapshot": "images",
}
"""What can bear our labels, in the order in which it stands on each other, and the client's name for it."""
REMEDIES = {
    "capacity": "choose another size or region from the offers",
    "quota": "ask Hetzner to raise the project's limit, or remove what is no longer needed",
    "auth": "give the credential a token of the project that may read and write",
    "conflict": "rename or remove what holds the name; it isn't ours",
    "protected": "take the protection off what is to be deleted, if it may go",
}
TIMEOUT = (10.0, 60.0)
"""Seconds for a connection, and for an answer."""


class HetznerApi:
    """One project. `endpoint` empty: the cloud's own."""

    def __init__(self, token: Secret, endpoint: str = "") -> None:
        self._token = token
        self._endpoint = endpoint

    async def named(self, names: Iterable[tuple[str, str]]) -> list[Discovered]:
        """What bears one of these (kind, name), whosever it is."""
        wanted = set(names)
        kinds = [kind for kind in KINDS if kind in {kind for kind, _ in wanted}]
        found = [one for kind in kinds for one in await self._all(kind)]
        return [one for one in found if (one.kind, one.name) in wanted]

    async def labelled(self, labels: Mapping[str, str]) -> list[Discovered]:
        """What carries all of `labels`, of every kind and in every region."""
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        return [one for kind in KINDS for one in await self._all(kind, label_selector=selector)]

    async def server_types(self) -> Sequence[Any]:
        """As the client has them."""
        return await self._call(lambda client: client.server_types.get_all())

    async def balancer_types(self) -> Sequence[Any]:
        """Types of load balancers, as the client has them."""
        return await self._call(lambda client: client.load_balancer_types.get_all())

    async def regions(self) -> list[str]:
        """Ids of all locations. It serves as the proof that the token may read."""
        return [str(one.name) for one in await self._call(lambda client: client.locations.get_all())]

    async def may_write(self) -> bool:
        """Whether the token may create. Nothing can come of the asking: a key without name and content is invalid."""
        try:
            await self._call(lambda client: client.ssh_keys.create(name="", public_key=""))
        except PluginFailure as failure:
            if failure.provider_code in ("invalid_input", "json_error"):
                return True
            if failure.provider_code in ("token_readonly", "forbidden"):
                return False
            raise
        raise Permanent("UNKNOWN", "a key without content was taken", provider=PROVIDER)

    async def subnets(self, network: int) -> list[str]:
        """Ranges of a network."""
        found = await self._call(lambda client: client.networks.get_by_id(network))
        return [str(one.ip_range) for one in found.subnets or ()]

    async def balancer(self, id: int) -> Any:
        """A load balancer as the client has it."""
        return await self._call(lambda client: client.load_balancers.get_by_id(id))

    async def _all(self, kind: str, **given: Any) -> list[Discovered]:
        given |= {"type": ["snapshot"]} if kind == "snapshot" else {}
        found = await self._call(lambda client: getattr(client, KINDS[kind]).get_all(**given))
        return [_discovered(kind, one) for one in found]

    async def _call(self, ask: "Callable[[Client], T]") -> T:
        return await asyncio.to_thread(self._ask, ask)

    def _ask(self, ask: "Callable[[Client], T]") -> T:
        from hcloud import APIException, Client, HCloudException
        from requests import RequestException

        given: dict[str, Any] = {"api_endpoint": self._endpoint} if self._endpoint else {}
        client = Client(self._token.reveal(), application_name="catalyst", timeout=TIMEOUT, **given)
        try:
            return ask(client)
        except APIException as error:
            if isinstance(error.code, int):  # a page instead of JSON: the client can name its status only
                text = f"Hetzner's API answered {error.code} and no document"
                raise Temporary(text, provider=PROVIDER, provider_code="transport") from error
            raise failure(error.code, error.message) from error
        except (RequestException, HCloudException, ValueError, KeyError, TypeError) as error:
            # A broken line, a shape that nobody announced.
            text = f"Hetzner's API did not answer as it should: {type(error).__name__}"
            raise Temporary(text, provider=PROVIDER, provider_code="transport") from error


def failure(code: str, message: str) -> PluginFailure:
    """The SDK's error for one of Hetzner's codes."""
    name = by_code(facts().error_classes).get(code, "unknown")
    if name == "transient":
        return Temporary(message, provider=PROVIDER, provider_code=code)
    if name == "rate_limited":
        # The client has waited and tried again five times by now.
        return RateLimited(message, retry_after=timedelta(seconds=60), provider=PROVIDER, provider_code=code)
    action = REMEDIES.get(name, "")
    return Permanent(name.upper(), message, provider=PROVIDER, provider_code=code, user_action=action)


def price_of(prices: Sequence[Mapping[str, Any]], region: str) -> Price | None:
    """The net price in a region, of a list as the API gives it: amounts are decimal texts."""
    for one in prices:
        if one["location"] == region:
            hour, month = (float(one[key]["net"]) for key in ("price_hourly", "price_monthly"))
            return Price(facts().currency, round(hour * 1_000_000), round(month * 100), capped=True)
    return None


def _discovered(kind: str, one: Any) -> Discovered:
    place = getattr(one, "location", None) or getattr(one, "home_location", None)
    region = str(getattr(place, "name", "") or "")
    name = str(one.name or getattr(one, "description", "") or one.id)
    size = getattr(one, "server_type", None)
    price = facts().price(kind, str(getattr(size, "name", "")), region)
    return Discovered(kind, name, str(one.id), region, dict(one.labels or {}), price)
