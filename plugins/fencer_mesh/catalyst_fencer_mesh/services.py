"""Services of regions: read, and changed only as they were read.

Every change is one merge patch with the resourceVersion that was seen; the API server refuses it with 409 where anybody changed
the Service meanwhile, and then all is decided anew (Kubernetes API conventions, "concurrency control and consistency").
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalyst_sdk import Permanent, Temporary

PROVIDER = "mesh"
TRIES = 5
"""How often a change is decided anew because somebody else was quicker."""

Annotations = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a region's Service is."""

    api: str
    token_file: Path
    ca_file: Path | None
    namespace: str
    service: str

    @property
    def url(self) -> str:
        """The resource."""
        return f"{self.api.rstrip('/')}/api/v1/namespaces/{self.namespace}/services/{self.service}"


class Services:
    """The Services of all regions. `patience`: seconds for one answer."""

    def __init__(self, places: Mapping[str, Place], patience: float) -> None:
        self._places = places
        self.patience = patience

    async def read(self, region: str) -> Mapping[str, str]:
        """A Service's annotations. Raises Temporary, or Permanent."""
        told = await self._asked(region, "GET", None)
        return _annotations(told or {})

    async def change(self, region: str, decide: Callable[[Mapping[str, str]], Annotations | None]) -> Mapping[str, str]:
        """Annotate as `decide` says of what stands there, None takes one away; what stands there then. Raises as `read`."""
        for _ in range(TRIES):
            seen = await self._asked(region, "GET", None) or {}
            wished = decide(_annotations(seen))
            if wished is None:
                return _annotations(seen)
            metadata = {"resourceVersion": seen["metadata"]["resourceVersion"], "annotations": dict(wished)}
            told = await self._asked(region, "PATCH", {"metadata": metadata})
            if told is not None:
                return _annotations(told)
        raise Temporary(f"others keep changing the Service of {region}", provider=PROVIDER)

    async def _asked(self, region: str, method: str, patch: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The Service; None: somebody changed it before our patch."""
        import httpx  # a daemon that loads this plugin and does not use it is 8 MiB smaller

        place = self._place(region)
        headers = {"Content-Type": "application/merge-patch+json"} if patch is not None else {}
        query = {"fieldManager": "continuum"} if patch is not None else None
        try:
            headers["Authorization"] = f"Bearer {place.token_file.read_text().strip()}"
            trusted = ssl.create_default_context(cafile=place.ca_file) if place.ca_file else True
            async with httpx.AsyncClient(verify=trusted, trust_env=False, timeout=self.patience) as http:
                answer = await http.request(method, place.url, headers=headers, json=patch, params=query)
                told = answer.json()
        except (httpx.HTTPError, OSError, ValueError) as error:
            why = f"the Kubernetes API of {region} does not answer: {type(error).__name__}"
            raise Temporary(why, provider=PROVIDER) from error
        return _told(region, answer.status_code, told)

    def _place(self, region: str) -> Place:
        if region not in self._places:
            raise Permanent("REGION_UNKNOWN", f"no Service of {region} is configured", provider=PROVIDER)
        return self._places[region]


def configured(config: Mapping[str, Any]) -> Services:
    """Read the configuration."""
    places = {
        region: Place(
            api=one["api"],
            token_file=Path(one["token_file"]),
            ca_file=Path(one["ca_file"]) if "ca_file" in one else None,
            namespace=one["namespace"],
            service=one["service"],
        )
        for region, one in config["regions"].items()
    }
    return Services(places, float(config.get("patience_seconds", 1.0)))


def _annotations(told: Mapping[str, Any]) -> Mapping[str, str]:
    return told.get("metadata", {}).get("annotations") or {}


def _told(region: str, status: int, told: Any) -> Mapping[str, Any] | None:
    if status == 200 and isinstance(told, dict) and "resourceVersion" in (told.get("metadata") or {}):
        return told
    if status == 409:
        return None
    why = f"{region}: {told.get('message', status) if isinstance(told, dict) else status}"
    if status in (401, 403):
        action = "let the token get and patch the Service"
        raise Permanent("CREDENTIALS_REJECTED", why, provider=PROVIDER, user_action=action)
    if status == 404:
        action = "create the Service, or correct its name"
        raise Permanent("SERVICE_ABSENT", why, provider=PROVIDER, user_action=action)
    raise Temporary(why, provider=PROVIDER, provider_code=str(status))
