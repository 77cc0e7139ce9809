"""OfferService: what clouds sell. Live answers win over the data file; each entry says where it comes from."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from catalyst.provisioner.v1 import resources_pb2, service_pb2, service_pb2_grpc
from catalyst_mesh import Context, Page
from catalyst_mesh.reports import to_plugin
from catalyst_sdk import Code, PluginFailure, Refused, SecretRef
from catalyst_sdk.cloud import Offer, OfferQuery
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from ..clouds import CloudPlugins
from ..domain import costs, credentials, mirrors
from ..domain.reference import Layout, Reference
from . import filters

Names = Sequence[str]


class ProviderNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "PROVIDER_NOT_FOUND", "there is no provider {name}"


class RegionNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "REGION_NOT_FOUND", "there is no region {name}"


class OfferService(service_pb2_grpc.OfferServiceServicer):
    """Clouds, regions, sizes and layouts."""

    def __init__(self, clouds: CloudPlugins, reference: Reference) -> None:
        self._clouds = clouds
        self._reference = reference

    async def ListProviders(
        self, request: service_pb2.ListProvidersRequest, context: Context
    ) -> service_pb2.ListProvidersResponse:
        rows = [
            resources_pb2.Provider(
                name=f"providers/{provider}", display_name=provider, code=cloud.code.long, letter=cloud.code.letter,
                simulated=cloud.simulated, credential_schema=self._asked_for(provider),
                load_balancer_types=self._reference.balancers.get(provider, ()),
                plugin=to_plugin(self._clouds.loaded(provider), "provisioner"),
            )
            for provider, cloud in sorted(self._clouds.clouds.items())
        ]  # fmt: skip
        shown, token = _page(request, rows)
        return service_pb2.ListProvidersResponse(providers=shown, next_page_token=token)

    async def ListRegions(
        self, request: service_pb2.ListRegionsRequest, context: Context
    ) -> service_pb2.ListRegionsResponse:
        rows = [row for provider in self._providers(request.parent) for row in self._regions(provider)]
        shown, token = _page(request, rows, request.parent)
        return service_pb2.ListRegionsResponse(regions=shown, next_page_token=token)

    async def ListOffers(
        self, request: service_pb2.ListOffersRequest, context: Context
    ) -> service_pb2.ListOffersResponse:
        filter = filters.parse(request.filter, resources_pb2.Offer, filters.OFFERS)
        _, provider, _, region = request.parent.split("/")
        rows: list[resources_pb2.Offer] = []
        unreachable = []
        for name in self._providers(f"providers/{provider}"):
            cloud = self._clouds.clouds[name]
            if region not in ("-", *cloud.regions):
                raise RegionNotFound(name=request.parent)
            ref = SecretRef(request.credential or cloud.default_credential)
            query = OfferQuery(region="" if region == "-" else region)
            try:
                offers = await self._clouds.get(name).offers(query=query, credential=ref)
                rows += [_offer(name, offer) for offer in offers if offer.kind == "server"]
            except PluginFailure:
                unreachable += [f"providers/{name}/regions/{r}" for r in cloud.regions if region in ("-", r)]
        rows = [row for row in rows if filter.takes(row)]
        rows.sort(key=lambda row: (not row.HasField("price"), row.price.hour_micros, row.name))
        shown, token = _page(request, rows, request.parent, request.filter)
        return service_pb2.ListOffersResponse(offers=shown, next_page_token=token, unreachable=unreachable)

    async def ListTopologies(
        self, request: service_pb2.ListTopologiesRequest, context: Context
    ) -> service_pb2.ListTopologiesResponse:
        layouts = [x for x in self._reference.layouts.values() if request.show_hidden or not x.hidden]
        layouts.sort(key=lambda layout: (not layout.recommended, layout.name))
        # Nobody is given one with mirrors who did not ask for it: they come last, and are never the default.
        rows = [_layout(x) for x in layouts] + [_gapped(_layout(x)) for x in layouts]
        shown, token = _page(request, rows, request.show_hidden)
        return service_pb2.ListTopologiesResponse(topologies=shown, next_page_token=token)

    def _asked_for(self, provider: str) -> Struct:
        """What a credential of it has to hold: a form can be shown before there is any."""
        return ParseDict(dict(credentials.schema_of(self._clouds.get(provider).manifest.credential_schema)), Struct())

    def _providers(self, parent: str) -> Names:
        name = parent.split("/")[1]
        if name == "-":
            return sorted(self._clouds.clouds)
        if name not in self._clouds.clouds:
            raise ProviderNotFound(name=parent)
        return [name]

    def _regions(self, provider: str) -> Iterator[resources_pb2.Region]:
        known: Mapping[str, Mapping[str, Any]] = {
            str(row["id"]): row for row in self._reference.regions.get(provider, ())
        }
        for id, code in sorted(self._clouds.clouds[provider].regions.items()):
            row = known.get(id, {})
            yield resources_pb2.Region(
                name=f"providers/{provider}/regions/{id}", display_name=str(row.get("city") or id), code=code.long,
                letter=code.letter, network_zone=str(row.get("network_zone") or ""),
                offered=bool(row.get("offered", True)), source="live",
            )  # fmt: skip


def _layout(x: Layout) -> resources_pb2.TopologyLayout:
    kinds = resources_pb2.TopologyLayout
    return kinds(
        name=f"topologies/{x.name}",
        clusters=x.clusters,
        vclusters=x.vclusters,
        audience=x.audience,
        recommended=x.recommended,
        default=x.default,
        hidden=x.hidden,
        regions=[
            kinds.LayoutRegion(clusters=[kinds.LayoutCluster(hosts=hosts) for hosts in region]) for region in x.regions
        ],
    )  # fmt: skip - as the contract has it


def _gapped(made: resources_pb2.TopologyLayout) -> resources_pb2.TopologyLayout:
    """The same without the Internet: a region more, with the cluster of the mirrors alone."""
    kinds = resources_pb2.TopologyLayout
    made.name += mirrors.SUFFIX
    made.regions.append(kinds.LayoutRegion(clusters=[kinds.LayoutCluster(hosts=[mirrors.BLOCK])]))
    made.clusters, made.vclusters, made.air_gap = made.clusters + 1, made.vclusters + 1, True
    made.recommended = made.default = False
    return made


def _offer(provider: str, offer: Offer) -> resources_pb2.Offer:
    made = resources_pb2.Offer(
        name=f"providers/{provider}/regions/{offer.region}/offers/{offer.size}", size=offer.size,
        architecture=offer.arch, vcpu=offer.vcpu, memory_mib=offer.memory_mb, disk_gib=offer.disk_gb or None,
        in_stock=None if offer.stock is None else offer.stock > 0, deprecated=offer.deprecated,
        source="live" if offer.is_live else "table",
    )  # fmt: skip
    if offer.price:
        made.price.CopyFrom(ParseDict(costs.price(offer.price), resources_pb2.Price()))
    return made


def _page(request: Any, rows: Sequence[Any], *scope: object) -> tuple[Sequence[Any], str]:
    page = Page.of(request.page_size, request.page_token, type(request).__name__, *scope)
    at = int(page.after or 0)
    cut = page.cut(list(enumerate(rows[at : at + page.size + 1], at + 1)), lambda row: row[0])
    return [row for _, row in cut.rows], cut.next_page_token
