"""The storefront: seed data that never undoes an edit, prices that never change once published."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from catalyst_catalog.domain.storefront import (
    Kind,
    Offer,
    OfferChanged,
    PriceBook,
    PriceBookPublished,
    Stocked,
    blueprint_of,
    import_seed,
    next_book,
)
from catalyst_catalog.seed import storefront_rows

from .makers import BLUEPRINTS, NOON

APPS = BLUEPRINTS.parent / "examples" / "04-apps-of-the-shop"
SEED = storefront_rows()
Rows = dict[tuple[Kind, str], Offer]


def planted(seed: dict[str, Any], rows: Rows | None = None, book: PriceBook | None = None) -> tuple[Rows, Stocked]:
    decision = import_seed(seed, rows or {}, book, NOON)
    return {**(rows or {}), **{(o.kind, o.slug): o for o in decision.state.offers}}, decision.state


def test_the_seed_has_the_rows_of_the_shop() -> None:
    rows, imported = planted(SEED)
    counts = {kind: sum(key[0] is kind for key in rows) for kind in Kind}
    assert counts == {Kind.PLAN: 5, Kind.ADD_ON: 9, Kind.APP: 30, Kind.BUNDLE: 3, Kind.INDUSTRY: 10}
    assert [book.number for book in imported.books] == [1]


def test_every_app_that_was_sold_has_a_blueprint_in_the_shop_of_a_development() -> None:
    rows, _ = planted(SEED)
    own, public = (
        {f"bp-{one.parent.name}" for one in folder.glob("*/blueprint.yaml")} for folder in (APPS, BLUEPRINTS)
    )
    sold = {f"bp-app-{app['slug']}" for app in SEED["apps"] if app["deployable"]}
    needed = {f"bp-app-{name}" for app in SEED["apps"] if app["deployable"] for name in app["requires"]}
    assert own == sold | needed
    found = {blueprint_of(row, own | public) for (kind, slug), row in rows.items() if f"bp-app-{slug}" in own}
    assert found == own


def test_money_and_limits_are_whole_numbers_and_metered_is_absent() -> None:
    _, imported = planted(SEED)
    (book,) = imported.books
    plans = {plan["slug"]: plan for plan in book.content["plans"]}
    assert (plans["s"]["price_minor"], plans["s"]["cpu_milli"], plans["s"]["ram_mb"]) == (5000, 2000, 4096)
    assert plans["flexi"]["cpu_milli"] is None
    assert set(book.content["rates"].values()) == {None}


def test_a_second_import_changes_nothing() -> None:
    rows, imported = planted(SEED)
    again = import_seed(SEED, rows, imported.books[0], NOON + timedelta(days=1))
    assert again.state == Stocked(())
    assert again.events == ()


def test_edits_and_deletions_survive_every_import() -> None:
    rows, imported = planted(SEED)
    price, gone = (Kind.ADD_ON, "api-access"), (Kind.BUNDLE, "comms-hub")
    rows[price] = replace(rows[price], body={**rows[price].body, "price_minor": 7000}, revision=2)
    rows[gone] = replace(rows[gone], is_deleted=True, revision=2)
    rows[Kind.PLAN, "own"] = replace(rows[Kind.PLAN, "s"], slug="own", seed_digest="")
    newer = {**SEED, "add_ons": [{**row, "price_minor": 1} for row in SEED["add_ons"]]}
    book = imported.books[0]
    for seed in (SEED, newer):
        after, imported = planted(seed, dict(rows), book)
        assert [after[key] for key in (price, gone)] == [rows[price], rows[gone]]
        assert after[Kind.PLAN, "own"] == rows[Kind.PLAN, "own"]
    assert after[Kind.ADD_ON, "daily-backup"].body["price_minor"] == 1
    assert after[Kind.ADD_ON, "daily-backup"].revision == 2


def test_a_change_of_a_price_publishes_the_next_book_and_of_a_word_none() -> None:
    rows, imported = planted(SEED)
    word = {**SEED, "plans": [{**row, "popular": True} for row in SEED["plans"]]}
    assert planted(word, dict(rows), imported.books[0])[1].books == ()
    price = {**SEED, "plans": [{**row, "price_minor": row["price_minor"] + 1} for row in SEED["plans"]]}
    decision = import_seed(price, rows, imported.books[0], NOON)
    assert [book.number for book in decision.state.books] == [2]
    assert [type(fact) for fact in decision.events] == [OfferChanged] * 5 + [PriceBookPublished]


def test_a_book_depends_on_the_rows_and_not_on_their_order() -> None:
    rows, imported = planted(SEED)
    turned = list(reversed(rows.values()))
    assert next_book(turned, "OMR", SEED["rates"], imported.books[0], "catalog", NOON) is None


def test_an_app_stands_before_its_own_blueprint_where_the_plain_name_is_taken() -> None:
    rows, _ = planted(SEED)
    assert blueprint_of(rows[Kind.APP, "gitea"], ["bp-gitea"]) == "bp-app-gitea"
    assert blueprint_of(rows[Kind.APP, "wordpress"], ["bp-gitea"]) == "bp-wordpress"
