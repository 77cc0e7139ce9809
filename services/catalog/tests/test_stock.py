"""Changes of the storefront: nothing half, nothing that leads nowhere, and a book for every change of a price."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from catalyst_catalog.domain import capacity, stock
from catalyst_catalog.domain.refusals import (
    AppUnknown,
    BundleUnknown,
    CurrencyUnsupported,
    OfferInUse,
    PlanUnknown,
    PriceBookMoved,
    ServiceUnknown,
    SlugTaken,
    ValidFromPast,
)
from catalyst_catalog.domain.stock import Shop
from catalyst_catalog.domain.storefront import Kind, Offer, PriceBook, Stocked, import_seed
from catalyst_catalog.seed import storefront_rows
from catalyst_sdk import Decision, Refused

from .makers import NOON

SEED = storefront_rows()


class World:
    """The storefront as the database would keep it."""

    def __init__(self) -> None:
        planted = import_seed(SEED, {}, None, NOON).state
        self.rows = {(o.kind, o.slug): o for o in planted.offers}
        self.books = list(planted.books)
        self.now = NOON

    @property
    def shop(self) -> Shop:
        standing = [offer for offer in self.rows.values() if not offer.is_deleted]
        counting = [book for book in self.books if book.valid_from <= self.now]
        return Shop(standing, counting[-1], self.books[-1], 40, "ada", self.now)

    def take(self, decision: Decision[Stocked]) -> Stocked:
        self.rows |= {(o.kind, o.slug): o for o in decision.state.offers}
        self.books += decision.state.books
        return decision.state

    def row(self, kind: Kind, slug: str) -> Offer:
        return self.rows[kind, slug]

    def change(self, kind: Kind, slug: str, **fields: Any) -> Stocked:
        known = self.row(kind, slug)
        return self.take(stock.change(self.shop, known, known.sort, fields, fields))

    def restart(self) -> Stocked:
        return self.take(import_seed(SEED, self.rows, self.books[-1], self.now))


def price(book: PriceBook, slug: str, part: str = "plans") -> int:
    return next(int(row["price_minor"]) for row in book.content[part] if row["slug"] == slug)


def test_a_patch_of_one_field_leaves_features_limits_and_order_alone() -> None:
    world = World()
    before = world.row(Kind.PLAN, "s")
    stocked = world.change(Kind.PLAN, "s", popular=True)
    after = world.row(Kind.PLAN, "s")
    assert {**after.body, "popular": before.body["popular"]} == before.body
    assert (after.sort, after.revision) == (before.sort, before.revision + 1)
    assert stocked.books == (), "no price has changed"


def test_a_change_that_changes_nothing_is_none() -> None:
    world = World()
    stocked = world.change(Kind.PLAN, "s", popular=world.row(Kind.PLAN, "s").body["popular"])
    assert (stocked.offers, stocked.books, stocked.changes) == ((), (), ())
    assert stocked.stands == world.row(Kind.PLAN, "s")


def test_three_restarts_change_nothing_back() -> None:
    world = World()
    world.change(Kind.ADD_ON, "api-access", price_minor=7000)
    for name in users(world, Kind.BUNDLE, "comms-hub").split(", "):
        world.change(Kind.INDUSTRY, name.removeprefix("industries/"), bundle="")
    world.take(stock.remove(world.shop, world.row(Kind.BUNDLE, "comms-hub")))
    own = {"name": "Own", "price_minor": 1, "currency": "OMR", "metered": False}
    world.take(stock.create(world.shop, None, Kind.PLAN, "own", 9, own))
    world.take(stock.publish(world.shop, {"egress_gb_minor": 12}))
    rows, books = dict(world.rows), list(world.books)
    for _ in range(3):
        again = world.restart()
        assert (again.offers, again.books, again.changes) == ((), (), ())
        assert {"addOns/api-access", "bundles/comms-hub"} <= {offer.name for offer in again.kept}
    assert (world.rows, world.books) == (rows, books)


def users(world: World, kind: Kind, slug: str) -> str:
    try:
        stock.remove(world.shop, world.row(kind, slug))
    except OfferInUse as refusal:
        return refusal.metadata["users"]
    return ""


def test_what_is_named_cannot_be_taken_away() -> None:
    world = World()
    assert "apps/wordpress" in users(world, Kind.APP, "mysql")
    assert "bundles/starter-pack" in users(world, Kind.APP, "wordpress")
    assert "plans/s" in users(world, Kind.PLAN, "m")
    assert "industries/restaurant" in users(world, Kind.BUNDLE, "starter-pack")
    assert users(world, Kind.INDUSTRY, "restaurant") == ""


def test_a_row_that_was_taken_away_may_come_again_and_its_revisions_go_on() -> None:
    world = World()
    gone = world.take(stock.remove(world.shop, world.row(Kind.INDUSTRY, "restaurant"))).offers[0]
    with pytest.raises(SlugTaken):
        stock.create(world.shop, world.row(Kind.INDUSTRY, "retail"), Kind.INDUSTRY, "retail", 1, {})
    again = world.take(stock.create(world.shop, gone, Kind.INDUSTRY, "restaurant", 1, {"name": "Again"})).offers[0]
    assert (again.revision, again.is_deleted) == (gone.revision + 1, False)


@pytest.mark.parametrize(
    ("kind", "slug", "fields", "refusal"),
    [
        (Kind.APP, "wordpress", {"requires": ["nothing"]}, ServiceUnknown),
        (Kind.APP, "wordpress", {"requires": ["ghost"]}, ServiceUnknown),
        (Kind.PLAN, "s", {"next": "nothing"}, PlanUnknown),
        (Kind.PLAN, "s", {"currency": "EUR"}, CurrencyUnsupported),
        (Kind.BUNDLE, "starter-pack", {"apps": ["wordpress", "nothing"]}, AppUnknown),
        (Kind.BUNDLE, "starter-pack", {"apps": ["mysql"]}, AppUnknown),
        (Kind.BUNDLE, "starter-pack", {"recommended_size": "nothing"}, PlanUnknown),
        (Kind.INDUSTRY, "restaurant", {"bundle": "nothing"}, BundleUnknown),
        (Kind.INDUSTRY, "restaurant", {"suggested": ["nothing"]}, AppUnknown),
    ],
)
def test_a_row_names_only_what_there_is(kind: Kind, slug: str, fields: dict[str, Any], refusal: type[Refused]) -> None:
    with pytest.raises(refusal):
        World().change(kind, slug, **fields)


def test_every_change_of_a_price_is_the_next_book_and_old_ones_stay() -> None:
    world = World()
    first = world.books[0]
    world.change(Kind.PLAN, "m", price_minor=9500)
    world.change(Kind.BUNDLE, "starter-pack", discount_bps=500)
    assert [book.number for book in world.books] == [1, 2, 3]
    assert [price(book, "m") for book in world.books] == [9000, 9500, 9500]
    assert world.books[0] == first


def test_a_book_that_was_announced_comes_with_the_prices_that_stand_by_then() -> None:
    world = World()
    later = NOON + timedelta(days=30)
    world.take(stock.publish(world.shop, {"egress_gb_minor": 12}, valid_from=later))
    assert world.shop.current == world.books[0], "it counts only later"
    world.change(Kind.PLAN, "m", price_minor=9500)
    now, announced = world.books[-2:]
    assert (now.number, price(now, "m"), now.rates["egress_gb_minor"]) == (3, 9500, None)
    assert (announced.number, price(announced, "m"), announced.rates["egress_gb_minor"]) == (4, 9500, 12)
    assert announced.valid_from == later
    world.now = later
    assert world.shop.current == announced


def test_publishing_what_stands_answers_the_book_that_stands() -> None:
    world = World()
    assert world.take(stock.publish(world.shop, {})).latest == world.books[-1]
    with pytest.raises(PriceBookMoved):
        stock.publish(world.shop, {}, expected=7)
    with pytest.raises(ValidFromPast):
        stock.publish(world.shop, {}, valid_from=NOON - timedelta(seconds=1))


def test_a_plan_is_checked_in_every_dimension_and_the_smallest_that_holds_all_is_named() -> None:
    world = World()
    apps = {o.slug: o for o in world.rows.values() if o.kind is Kind.APP}
    plans = capacity.sold(world.rows.values())
    small = world.row(Kind.PLAN, "s")
    wanted = capacity.needs(["nextcloud"], apps)
    used = capacity.needs(["wordpress", "ghost"], apps)
    assert capacity.needs(["wordpress", "ghost"], apps)["ram_mb"] == sum(
        capacity.needs_of(apps[slug])["ram_mb"] for slug in {"wordpress", "ghost", *apps["wordpress"].body["requires"]}
    ), "one database serves both"
    verdict = capacity.check(small, plans, used, wanted)
    assert verdict.fits == (not capacity.shortfall(small, capacity.total([used, wanted])))
    disk = {"cpu_milli": 1, "ram_mb": 1, "disk_gb": 26}
    short = capacity.check(small, plans, {}, disk)
    assert (short.shortfall, short.suggested) == ({"disk_gb": 1}, world.row(Kind.PLAN, "m"))
    huge = capacity.check(small, plans, {}, {"cpu_milli": 10**9})
    assert huge.suggested == world.row(Kind.PLAN, "flexi"), "what is metered holds anything"
    without = [plan for plan in plans if not plan.body["metered"]]
    assert capacity.check(small, without, {}, {"cpu_milli": 10**9}).suggested is None


def test_a_retired_plan_is_suggested_to_nobody() -> None:
    world = World()
    medium = world.row(Kind.PLAN, "m")
    world.rows[Kind.PLAN, "m"] = replace(medium, body={**medium.body, "retired": True})
    short = capacity.check(world.row(Kind.PLAN, "s"), capacity.sold(world.rows.values()), {}, {"disk_gb": 26})
    assert short.suggested == world.row(Kind.PLAN, "l")
