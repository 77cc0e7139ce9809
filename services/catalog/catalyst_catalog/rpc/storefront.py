"""StorefrontService: what is sold, for everybody to read."""

from collections.abc import Callable
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc
from catalyst_mesh import Page, Work
from catalyst_mesh.paging import Cut
from catalyst_mesh.protos import Context

from ..domain.refusals import OFFERS_NOT_FOUND, PriceBookNotFound
from ..domain.storefront import Kind, Offer
from ..store import Pictures, Store, Viewer
from .offers import Shelf, price_book


class StorefrontService(service_pb2_grpc.StorefrontServiceServicer):
    """Reads the storefront's rows and the price books."""

    def __init__(self, work: Work[Store], pictures: Pictures) -> None:
        self._work = work
        self._pictures = pictures

    async def ListApps(self, request: rpc.ListAppsRequest, context: Context) -> rpc.ListAppsResponse:
        shelf = await self._shelf()

        def fits(app: Offer) -> bool:
            is_shown = request.show_services or app.body["kind"] == "app"
            in_category = not request.category or app.body.get("category") == request.category
            return is_shown and in_category and (not request.deployable_only or shelf.is_deployable(app))

        scope = request.show_services, request.deployable_only, request.category
        cut = await self._cut(Kind.APP, request, fits, *scope)
        return rpc.ListAppsResponse(apps=[shelf.app(app) for app in cut.rows], next_page_token=cut.next_page_token)

    async def GetApp(self, request: rpc.GetAppRequest, context: Context) -> pb.App:
        return (await self._shelf()).app(await self._offer(Kind.APP, request.name))

    async def ListPlans(self, request: rpc.ListPlansRequest, context: Context) -> rpc.ListPlansResponse:
        shelf, cut = await self._shelf(), await self._sold(Kind.PLAN, request)
        return rpc.ListPlansResponse(plans=[shelf.plan(o) for o in cut.rows], next_page_token=cut.next_page_token)

    async def GetPlan(self, request: rpc.GetPlanRequest, context: Context) -> pb.Plan:
        return (await self._shelf()).plan(await self._offer(Kind.PLAN, request.name))

    async def ListAddOns(self, request: rpc.ListAddOnsRequest, context: Context) -> rpc.ListAddOnsResponse:
        shelf, cut = await self._shelf(), await self._sold(Kind.ADD_ON, request)
        return rpc.ListAddOnsResponse(add_ons=[shelf.add_on(o) for o in cut.rows], next_page_token=cut.next_page_token)

    async def GetAddOn(self, request: rpc.GetAddOnRequest, context: Context) -> pb.AddOn:
        return (await self._shelf()).add_on(await self._offer(Kind.ADD_ON, request.name))

    async def ListBundles(self, request: rpc.ListBundlesRequest, context: Context) -> rpc.ListBundlesResponse:
        shelf, cut = await self._shelf(), await self._sold(Kind.BUNDLE, request)
        return rpc.ListBundlesResponse(bundles=[shelf.bundle(o) for o in cut.rows], next_page_token=cut.next_page_token)

    async def GetBundle(self, request: rpc.GetBundleRequest, context: Context) -> pb.Bundle:
        return (await self._shelf()).bundle(await self._offer(Kind.BUNDLE, request.name))

    async def ListIndustries(self, request: rpc.ListIndustriesRequest, context: Context) -> rpc.ListIndustriesResponse:
        shelf, cut = await self._shelf(), await self._cut(Kind.INDUSTRY, request, lambda offer: True)
        rows = [shelf.industry(offer) for offer in cut.rows]
        return rpc.ListIndustriesResponse(industries=rows, next_page_token=cut.next_page_token)

    async def GetIndustry(self, request: rpc.GetIndustryRequest, context: Context) -> pb.Industry:
        return (await self._shelf()).industry(await self._offer(Kind.INDUSTRY, request.name))

    async def GetPriceBook(self, request: rpc.GetPriceBookRequest, context: Context) -> pb.PriceBook:
        number = request.name.removeprefix("priceBooks/")
        async with self._work.reading() as tx:
            book = await tx.price_book(None if number == "current" else int(number))
        if book is None:
            raise PriceBookNotFound(book=request.name)
        return price_book(book)

    async def _sold(self, kind: Kind, request: Any) -> Cut[Offer]:
        """Rows that are sold, or all of them where the request asks for the retired ones too."""

        def fits(offer: Offer) -> bool:
            return bool(request.show_retired) or not offer.body.get("retired")

        return await self._cut(kind, request, fits, request.show_retired)

    async def _cut(self, kind: Kind, request: Any, fits: Callable[[Offer], bool], *scope: object) -> Cut[Offer]:
        """One page by `sort`, then slug."""
        page = Page.of(request.page_size, request.page_token, kind.value, *scope)
        async with self._work.reading() as tx:
            offers = await tx.offers(kind)
        after = tuple(page.after or (-1, ""))
        return page.cut([o for o in offers if fits(o) and (o.sort, o.slug) > after], key=lambda o: [o.sort, o.slug])

    async def _offer(self, kind: Kind, name: str) -> Offer:
        slug = name.removeprefix(f"{kind.value}/")
        async with self._work.reading() as tx:
            offers = await tx.offers(kind)
        for offer in offers:
            if offer.slug == slug:
                return offer
        raise OFFERS_NOT_FOUND[kind.name](name=name)

    async def _shelf(self) -> Shelf:
        # What can be ordered depends on the public catalogue alone, not on who asks.
        picture = await self._pictures.of(Viewer())
        async with self._work.reading() as tx:
            return Shelf(await tx.offers(), await tx.offer_uids(), picture.universe)
