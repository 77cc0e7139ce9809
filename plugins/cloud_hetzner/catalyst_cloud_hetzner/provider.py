"""The plugin: what the base class asks of Hetzner Cloud."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from catalyst_sdk import Permanent, PluginFailure, Secret, SecretRef, Temporary
from catalyst_sdk.cloud import (
    Binary,
    CloudManifest,
    ClusterFacts,
    ClusterRequest,
    CredentialReport,
    Discovered,
    Finding,
    InfraPlan,
    Offer,
    OfferQuery,
    Price,
    Workspace,
)
from catalyst_sdk.context import PluginContext
from catalyst_sdk.tofu import Diagnostic, Leftover, Part, Resource, TofuCloud, pins

from . import preflight, wishes
from .api import KINDS, PROVIDER, REMEDIES, HetznerApi, price_of
from .facts import DATA, facts

TOKEN = re.compile(r"[A-Za-z0-9]{64}")
PARTS = {
    "hcloud_network_subnet": "hcloud_network",
    "hcloud_load_balancer_network": "hcloud_load_balancer",
    "hcloud_load_balancer_service": "hcloud_load_balancer",
    "hcloud_load_balancer_target": "hcloud_load_balancer",
}
CODES = (
    re.compile(r"^Error code: (?P<code>[a-z_]+)$", re.MULTILINE),
    re.compile(r"\((?P<code>[a-z][a-z_]+)(?:, [0-9a-zA-Z-]+)?\)(?:: \[.*\])?\s*$"),
)
"""How the provider ends its errors: newer resources name the code in a line of its own."""
ARCHES = {"x86": "x86_64", "arm": "arm64"}


class HetznerCloud(TofuCloud):
    """Hetzner Cloud behind the contract of clouds."""

    module = Path(__file__).with_name("module")
    providers = pins(DATA / "providers.json")
    error_classes: ClassVar[Mapping[str, Sequence[str]]] = facts().error_classes
    remedies: ClassVar[Mapping[str, str]] = REMEDIES
    standing: ClassVar[Sequence[str]] = tuple(KINDS)

    def __init__(self, manifest: CloudManifest, context: PluginContext) -> None:
        super().__init__(manifest, context)
        self._endpoint = str(context.config.get("endpoint", ""))
        self._image = str(context.config.get("image") or facts().image)
        self._binaries: Mapping[str, Any] = context.config.get("binaries", {})
        self._asked: dict[tuple[str, str, str], Price] = {}
        """Prices that the cloud itself has told, by kind, size and region: the same for every project."""

    async def plan(self, *, request: ClusterRequest, work: Workspace) -> InfraPlan:
        await self._learn_prices(work.credential)
        return await super().plan(request=request, work=work)

    async def apply(self, *, plan: InfraPlan, work: Workspace) -> ClusterFacts:
        await self._learn_prices(work.credential)
        return await super().apply(plan=plan, work=work)

    def variables(self, request: ClusterRequest) -> Mapping[str, Any]:
        for arch in wishes.needed_arches(request):
            if arch not in self._binaries:
                text = f"nobody has said where servers of {arch} fetch k3s and the agent"
                action = f"configure binaries.{arch} of cloud_provider:hetzner"
                code = "boot.binaries_missing"
                raise Permanent("INVALID", text, provider=PROVIDER, provider_code=code, user_action=action)
        return wishes.variables(request, image=self._image, binaries=self._binaries)

    def environment(self, credential: Secret) -> Mapping[str, str]:
        endpoint = {"HCLOUD_ENDPOINT": self._endpoint} if self._endpoint else {}
        return {"HCLOUD_TOKEN": credential.reveal(), **endpoint}

    def resource(self, type: str, values: Mapping[str, Any]) -> Resource | Part:
        if type in PARTS:
            return Part(PARTS[type])
        kind = type.removeprefix("hcloud_")
        size = values.get("server_type") or values.get("load_balancer_type") or ""
        labels = {key: str(value) for key, value in (values.get("labels") or {}).items()}
        return Resource(kind, str(values.get("name") or ""), str(values.get("location") or ""), labels, str(size))

    def classify(self, diagnostic: Diagnostic) -> str:
        texts = (diagnostic.detail, diagnostic.summary)
        found = (code.search(text.strip()) for text in texts for code in CODES)
        return next((match["code"] for match in found if match), "")

    def price(self, resource: Resource) -> Price | None:
        told = self._asked.get((resource.kind, resource.size, resource.region))
        return told or facts().price(resource.kind, resource.size, resource.region)

    def released(self, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**variables, "protection": False}

    async def find(self, *, names: Sequence[tuple[str, str]], credential: Secret) -> Sequence[Discovered]:
        return await self._api(credential).named(names)

    async def find_part(self, *, type: str, values: Mapping[str, Any], credential: Secret) -> str:
        api = self._api(credential)
        if type == "hcloud_network_subnet":
            network, wanted = values.get("network_id"), values["ip_range"]
            return f"{network}-{wanted}" if network and wanted in await api.subnets(int(network)) else ""
        if not values.get("load_balancer_id"):
            return ""
        balancer = await api.balancer(int(values["load_balancer_id"]))
        if type == "hcloud_load_balancer_service":
            port = values["listen_port"]
            return f"{balancer.id}__{port}" if port in [one.listen_port for one in balancer.services or ()] else ""
        if type == "hcloud_load_balancer_network":
            network = str(values.get("subnet_id") or "").partition("-")[0]
            attached = [str(one.network.id) for one in balancer.private_net or ()]
            return f"{balancer.id}-{network}" if network in attached else ""
        wanted = values["label_selector"]
        selectors = [one.label_selector.selector for one in balancer.targets or () if one.label_selector]
        return f"{balancer.id}__label_selector__{wanted}" if wanted in selectors else ""

    def leftover(self, found: Discovered) -> Leftover:
        # What the provider demands to see; nothing of it is ever changed.
        demanded: Mapping[str, Mapping[str, Any]] = {
            "network": {"ip_range": "10.0.0.0/16"},
            "placement_group": {"type": "spread"},
            "ssh_key": {"public_key": "ssh-ed25519 AAAA"},
            "load_balancer": {"load_balancer_type": facts().balancers[0], "location": found.region},
            "server": {"server_type": next(iter(facts().sizes)), "image": self._image},
            "volume": {"size": 10},
            "primary_ip": {"type": "ipv4", "assignee_type": "server", "auto_delete": False},
            "floating_ip": {"type": "ipv4"},
            "snapshot": {"server_id": 1},
        }
        if found.kind == "certificate":
            return Leftover("hcloud_uploaded_certificate", {"name": found.name, "certificate": "-", "private_key": "-"})
        named = {} if found.kind == "snapshot" else {"name": found.name}
        return Leftover(f"hcloud_{found.kind}", {**named, **demanded.get(found.kind, {})})

    async def offers(self, *, query: OfferQuery, credential: SecretRef) -> Sequence[Offer]:
        """Live ones; without a credential, or where the API is out of reach, those of the table, whose stock nobody knows."""
        try:
            known = await self._live(await self._secret(credential)) if credential.name else _from_table()
        except Temporary:
            known = _from_table()
        known += [Offer("load_balancer", size, region) for size in facts().balancers for region in facts().offered]
        return [offer for offer in known if _matches(offer, query)]

    async def check_credential(self, *, needed: Sequence[str], credential: SecretRef) -> CredentialReport:
        secret = await self._secret(credential)
        if not TOKEN.fullmatch(secret.reveal()):
            text = "a token of Hetzner Cloud has 64 letters and digits"
            return CredentialReport(False, missing=tuple(needed), message=text)
        api = self._api(secret)
        try:
            await api.regions()
            rights = {"read", "write"} if "write" in needed and await api.may_write() else {"read"}
        except Permanent as failure:
            if failure.reason != "AUTH":
                raise
            return CredentialReport(False, missing=tuple(needed), message=failure.message)
        missing = tuple(right for right in needed if right not in rights)
        text = "the token may only read" if missing else "the token may read and write"
        return CredentialReport(not missing, tuple(right for right in needed if right in rights), missing, message=text)

    async def preflight(self, *, request: ClusterRequest, credential: SecretRef) -> Sequence[Finding]:
        offers = await self.offers(query=OfferQuery(region=request.region), credential=credential)
        titles = {region.id: region.title for region in self.manifest.regions}
        return list(preflight.findings(request, offers=offers, names=titles, binaries=self._binaries))

    def binaries(self, *, version: str) -> Sequence[Binary]:
        """k3s of this version, as it is configured. Since 0.2."""
        return [
            Binary(arch, row["k3s_url"], row["k3s_sha256"])
            for arch, row in sorted(self._binaries.items())
            if row["k3s_version"] == version
        ]

    async def discover(self, *, labels: Mapping[str, str], credential: SecretRef) -> Sequence[Discovered]:
        if not labels:
            return []
        return await self._api(await self._secret(credential)).labelled(labels)

    async def _live(self, credential: Secret) -> list[Offer]:
        offers = []
        for one in await self._api(credential).server_types():
            places = {place.location.name: place for place in one.locations or ()}
            for region in self.manifest.regions:
                price = price_of(one.prices or (), region.id)
                if price is None and region.id not in places:
                    continue
                place = places.get(region.id)
                withdrawn = bool(place and place.deprecation) or facts().is_superseded(one.name, region.id)
                stock = 0 if place is not None and getattr(place, "available", None) is False else None
                offers.append(
                    Offer(
                        "server",
                        one.name,
                        region.id,
                        ARCHES.get(one.architecture, one.architecture),
                        one.cores,
                        round(one.memory * 1024),
                        one.disk,
                        price,
                        stock,
                        withdrawn,
                    )
                )  # fmt: skip - in the order of the fields
        return offers

    async def _learn_prices(self, credential: SecretRef) -> None:
        """What things cost now. Where nobody answers the table stands in; a plan says elsewhere that nobody does."""
        try:
            api = self._api(await self._secret(credential))
            kinds = {"server": await api.server_types(), "load_balancer": await api.balancer_types()}
        except PluginFailure:
            return
        for kind, types in kinds.items():
            for one in types:
                for region in self.manifest.regions:
                    if (price := price_of(one.prices or (), region.id)) is not None:
                        self._asked[kind, str(one.name), region.id] = price

    def _api(self, credential: Secret) -> HetznerApi:
        return HetznerApi(credential, self._endpoint)

    async def _secret(self, credential: SecretRef) -> Secret:
        return await self.context.secrets.resolve(credential)


def _from_table() -> list[Offer]:
    table = facts()
    return [
        Offer(
            "server",
            size.id,
            region,
            size.arch,
            size.vcpu,
            size.memory_gb * 1024,
            size.disk_gb,
            table.price("server", size.id, region),
            is_live=False,
        )
        for size in table.sizes.values()
        for region in sorted(table.offered)
        if table.sells(size, region)
    ]  # fmt: skip - one offer


def _matches(offer: Offer, query: OfferQuery) -> bool:
    return all(
        wanted in ("", has)
        for wanted, has in (
            (query.kind, offer.kind),
            (query.region, offer.region),
            (query.size, offer.size),
            (query.arch, offer.arch),
        )
    )  # fmt: skip - pairs
