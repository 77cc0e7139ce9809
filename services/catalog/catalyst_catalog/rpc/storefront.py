"""StorefrontService: what is sold, for everybody to read and for the Sovereign's administrator to change."""

from collections.abc import Callable
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc
from catalyst_mesh import Page, Work, caller
from catalyst_mesh.paging import Cut
from catalyst_mesh.protos import Context, moment
from catalyst_sdk import Decision
from google.protobuf.empty_pb2 import Empty

from .. import seed
from ..domain import capacity, stock
from ..domain.capacity import Amounts
from ..domain.cards import hits
from ..domain.refusals import OFFERS_NOT_FOUND, AddOnUnknown, AppUnknown, BlueprintUnknown, PriceBookNotFound
from ..domain.stock import Shop
from ..domain.storefront import Kind, Offer, Stocked
from ..store import Pictures, Store, Viewer
from .masks import fresh, wanted
from .offer_bodies import FIELDS, amounts, body, rates, whole
from .offers import Shelf, price_book, to_capacity
from .planning import needs_by_blueprint
from .words import split


class StorefrontService(service_pb2_grpc.StorefrontServiceServicer):
    """Rows of the storefront and price books."""

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

    async def CreateApp(self, request: rpc.CreateAppRequest, context: Context) -> pb.App:
        made: pb.App = await self._create(Kind.APP, request, request.app_id, request.app)
        return made

    async def UpdateApp(self, request: rpc.UpdateAppRequest, context: Context) -> pb.App:
        made: pb.App = await self._update(Kind.APP, request, request.app)
        return made

    async def DeleteApp(self, request: rpc.DeleteAppRequest, context: Context) -> Empty:
        return await self._delete(Kind.APP, request)

    async def CreatePlan(self, request: rpc.CreatePlanRequest, context: Context) -> pb.Plan:
        made: pb.Plan = await self._create(Kind.PLAN, request, request.plan_id, request.plan)
        return made

    async def UpdatePlan(self, request: rpc.UpdatePlanRequest, context: Context) -> pb.Plan:
        made: pb.Plan = await self._update(Kind.PLAN, request, request.plan)
        return made

    async def DeletePlan(self, request: rpc.DeletePlanRequest, context: Context) -> Empty:
        return await self._delete(Kind.PLAN, request)

    async def CreateAddOn(self, request: rpc.CreateAddOnRequest, context: Context) -> pb.AddOn:
        made: pb.AddOn = await self._create(Kind.ADD_ON, request, request.add_on_id, request.add_on)
        return made

    async def UpdateAddOn(self, request: rpc.UpdateAddOnRequest, context: Context) -> pb.AddOn:
        made: pb.AddOn = await self._update(Kind.ADD_ON, request, request.add_on)
        return made

    async def DeleteAddOn(self, request: rpc.DeleteAddOnRequest, context: Context) -> Empty:
        return await self._delete(Kind.ADD_ON, request)

    async def CreateBundle(self, request: rpc.CreateBundleRequest, context: Context) -> pb.Bundle:
        made: pb.Bundle = await self._create(Kind.BUNDLE, request, request.bundle_id, request.bundle)
        return made

    async def UpdateBundle(self, request: rpc.UpdateBundleRequest, context: Context) -> pb.Bundle:
        made: pb.Bundle = await self._update(Kind.BUNDLE, request, request.bundle)
        return made

    async def DeleteBundle(self, request: rpc.DeleteBundleRequest, context: Context) -> Empty:
        return await self._delete(Kind.BUNDLE, request)

    async def CreateIndustry(self, request: rpc.CreateIndustryRequest, context: Context) -> pb.Industry:
        made: pb.Industry = await self._create(Kind.INDUSTRY, request, request.industry_id, request.industry)
        return made

    async def UpdateIndustry(self, request: rpc.UpdateIndustryRequest, context: Context) -> pb.Industry:
        made: pb.Industry = await self._update(Kind.INDUSTRY, request, request.industry)
        return made

    async def DeleteIndustry(self, request: rpc.DeleteIndustryRequest, context: Context) -> Empty:
        return await self._delete(Kind.INDUSTRY, request)

    async def SearchApps(self, request: rpc.SearchAppsRequest, context: Context) -> rpc.SearchAppsResponse:
        shelf = await self._shelf()
        found = []
        for app in shelf.apps.values():
            in_category = not request.category or app.body.get("category") == request.category
            words = (app.body.get("name", app.slug), " ".join(app.body.get("tags", ())), app.body.get("tagline", ""))
            rank = hits(request.q, (app.slug, *words, app.body.get("category", "")))
            if app.body["kind"] == "app" and in_category and rank is not None:
                found.append(([rank, app.slug], app))
        found.sort(key=lambda entry: entry[0])
        page = Page.of(request.page_size, request.page_token, caller().subject, request.q, request.category)
        cut = page.cut([entry for entry in found if entry[0] > (page.after or [-1, ""])], key=lambda entry: entry[0])
        return rpc.SearchAppsResponse(
            apps=[shelf.app(app) for _, app in cut.rows], next_page_token=cut.next_page_token, total_size=len(found)
        )

    async def GetPriceBook(self, request: rpc.GetPriceBookRequest, context: Context) -> pb.PriceBook:
        number = request.name.removeprefix("priceBooks/")
        async with self._work.reading() as tx:
            book = await tx.price_book(None if number == "current" else int(number))
        if book is None:
            raise PriceBookNotFound(book=request.name)
        return price_book(book)

    async def PublishPriceBook(self, request: rpc.PublishPriceBookRequest, context: Context) -> pb.PriceBook:
        start = moment(request.valid_from_time) if request.HasField("valid_from_time") else None
        expected = request.expected_number if request.HasField("expected_number") else None

        async def step(tx: Store) -> Decision[Stocked]:
            shop = await _shop(tx)
            given = rates(request.rates, stock.currency_of(shop))
            return stock.publish(shop, given, expected=expected, valid_from=start)

        def answer(stocked: Stocked) -> pb.PriceBook:
            book = stocked.books[0] if stocked.books else stocked.latest
            assert book is not None, "where nothing was published, something stands"
            return price_book(book)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=answer)

    async def ImportSeed(self, request: rpc.ImportSeedRequest, context: Context) -> rpc.ImportSeedResponse:
        async def step(tx: Store) -> Decision[Stocked]:
            return await seed.sown(tx, caller().subject)

        def answer(stocked: Stocked) -> rpc.ImportSeedResponse:
            return rpc.ImportSeedResponse(
                changed=[offer.name for offer in stocked.offers], kept=[offer.name for offer in stocked.kept],
                price_book=stocked.books[0].name if stocked.books else "",
            )  # fmt: skip

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=answer)

    async def CheckCapacity(self, request: rpc.CheckCapacityRequest, context: Context) -> rpc.CheckCapacityResponse:
        if org := request.org.removeprefix("organizations/"):
            caller().require("org-viewer", "org-developer", "org-admin", "sovereign-admin", "billing-admin", org=org)
        async with self._work.reading() as tx:
            offers = await tx.offers()
        plan = next((o for o in offers if o.kind is Kind.PLAN and o.name == request.plan), None)
        if plan is None:
            raise OFFERS_NOT_FOUND["PLAN"](name=request.plan)
        apps = {o.slug: o for o in offers if o.kind is Kind.APP}
        names = [name.removeprefix("apps/") for name in request.apps]
        if unknown := sorted(set(names) - set(apps)):
            raise AppUnknown(apps=", ".join(unknown))
        if unknown := sorted(set(request.add_ons) - {o.name for o in offers if o.kind is Kind.ADD_ON}):
            raise AddOnUnknown(add_ons=", ".join(unknown))
        used: Amounts = {name: amount for name, amount in amounts(request.used).items() if amount is not None}
        if org and not request.HasField("used"):
            used = await self._used(org)
        verdict = capacity.check(plan, capacity.sold(offers), used, capacity.needs(names, apps))
        return rpc.CheckCapacityResponse(capacity=to_capacity(verdict))

    async def _used(self, org: str) -> Amounts:
        """What the Applications of an Organization take, as known from events."""
        shelf = await self._shelf()
        needs = needs_by_blueprint(shelf.apps.values(), shelf.blueprints)
        async with self._work.reading() as tx:
            standing = await tx.installations([org])
        return capacity.total(needs.get(split(one.blueprint)[1], {}) for one in standing)

    async def _create(self, kind: Kind, request: Any, slug: str, message: Any) -> Any:
        given = whole(kind, message)
        shelf = await self._shelf()
        _demand_blueprint(shelf, given)

        async def step(tx: Store) -> Decision[Stocked]:
            return stock.create(await _shop(tx), await tx.offer(kind, slug), kind, slug, message.sort, given)

        return await self._changed(shelf, request, step)

    async def _update(self, kind: Kind, request: Any, message: Any) -> Any:
        fields = wanted(request.update_mask, message, (*FIELDS[kind], "sort"))
        given = body(kind, message, fields)
        shelf = await self._shelf()
        _demand_blueprint(shelf, given)

        async def step(tx: Store) -> Decision[Stocked]:
            known = await _known(tx, kind, message.name)
            fresh(known.name, known.revision, request.etag)
            sort = message.sort if "sort" in fields else known.sort
            return stock.change(await _shop(tx), known, sort, given, fields)

        return await self._changed(shelf, request, step)

    async def _delete(self, kind: Kind, request: Any) -> Empty:
        async def step(tx: Store) -> Decision[Stocked]:
            known = await _known(tx, kind, request.name)
            fresh(known.name, known.revision, request.etag)
            return stock.remove(await _shop(tx), known)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=lambda _: Empty())

    async def _changed(self, shelf: Shelf, request: Any, step: Any) -> Any:
        def answer(stocked: Stocked) -> Any:
            changed = stocked.offers[0] if stocked.offers else stocked.stands
            assert changed is not None, "a change has the row that it is about"
            return shelf.message(changed)

        ask = self._work.rehearse if request.validate_only else self._work.run
        return await ask(step, answer=answer)

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


async def _shop(tx: Store) -> Shop:
    """What a change begins with; two that race for one revision of the catalogue decide one after the other."""
    current, latest = await tx.price_book(), await tx.latest_price_book()
    return Shop(await tx.offers(), current, latest, await tx.revision(), caller().subject, tx.now)


async def _known(tx: Store, kind: Kind, name: str) -> Offer:
    known = await tx.offer(kind, name.partition("/")[2])
    if known is None or known.is_deleted:
        raise OFFERS_NOT_FOUND[kind.name](name=name)
    return known


def _demand_blueprint(shelf: Shelf, given: dict[str, Any]) -> None:
    """What is sold is in the public catalogue."""
    if (name := given.get("blueprint")) and not shelf.has_blueprint(name):
        raise BlueprintUnknown(blueprint=name)
