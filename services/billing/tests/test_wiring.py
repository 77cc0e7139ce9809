"""Settings, schema, signing key, and what the events carry."""

import asyncio
import importlib
from pathlib import Path

import pytest
from catalyst.billing.v1 import events_pb2
from catalyst.catalog.v1 import resources_pb2 as catalog_pb
from catalyst.mesh.v1.resources_pb2 import Money
from catalyst_billing.catalog import CatalogUnavailable, to_book
from catalyst_billing.emitted import EMITTED
from catalyst_billing.keys import Keys
from catalyst_billing.settings import BillingSettings
from catalyst_billing.signing import Signer
from catalyst_billing.store import metadata, triggers
from catalyst_mesh import Database, migrate
from catalyst_mesh.facts import aggregate_of, version_of
from catalyst_mesh.settings import SettingsFault
from catalyst_testkit.revisions import compared
from sqlalchemy import select, text

from .conftest import Billing

TRIGGERS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger' ORDER BY name",
    "postgresql": "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgname",
}


async def test_the_migrations_make_the_schema_of_the_code(database: str, second_database: str) -> None:
    shapes = []
    for url, revision in ((database, "0001"), (second_database, "head")):
        db = await Database.open(url)
        await migrate(db, "catalyst_billing", metadata, revision)
        async with db.begin() as sql:
            if revision == "head":  # what came after the first revision is not in it
                assert await sql.run_sync(compared, metadata) == []
            shapes.append([tuple(row) for row in await sql.execute(text(TRIGGERS[db.dialect]))])
        await db.close()
    of_book = [[row for row in rows if not row[0].startswith("invoice_")] for rows in shapes]
    assert of_book[0] == of_book[1]
    assert (
        len(of_book[0]) == {"sqlite": 4, "postgresql": 5}[db.dialect]
    )  # PostgreSQL also proves each sum at the commit
    assert len(shapes[1]) == {"sqlite": 6, "postgresql": 8}[db.dialect]


def test_the_first_migration_defends_the_book_as_the_code_does() -> None:
    first = importlib.import_module("catalyst_billing.migrations.versions.0001_first_tables")
    assert (first.SQLITE, first.POSTGRESQL) == (triggers.SQLITE, triggers.POSTGRESQL)


def test_the_migration_of_invoices_seals_them_as_the_code_does() -> None:
    later = importlib.import_module("catalyst_billing.migrations.versions.0014_subscriptions_and_invoices")
    assert later.INVOICE_SQLITE == triggers.INVOICE_SQLITE
    assert later.INVOICE_POSTGRESQL == triggers.INVOICE_POSTGRESQL


def test_settings_that_cannot_be_are_told_together() -> None:
    wrong = {
        "CATALYST_BILLING_ORDER_DEADLINE_SECONDS": "60",
        "CATALYST_BILLING_TAX_RULES": '[{"name": "VAT", "rate_bps": 99999}]',
        "CATALYST_BILLING_NO_SUCH": "1",
    }
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SettingsFault) as fault:
        for name, value in wrong.items():
            patch.setenv(name, value)
        BillingSettings.load(argv=[])
    assert all(name in str(fault.value) for name in wrong)


async def test_replicas_sign_by_one_key_whatever_stands_in_their_folders(billing: Billing, tmp_path: Path) -> None:
    work = billing.daemon.daemon.work
    sealer = work.sealer
    assert sealer is not None
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for number, folder in enumerate(folders[:2]):
        folder.mkdir()
        (folder / "old.key").write_text(bytes([number] * 32).hex())
    all = [Keys(work, sealer, folder) for folder in folders]
    assert [await keys.of("old") for keys in all] == [bytes(32)] * 3, "what the first one had in its file"
    drawn = await asyncio.gather(*(keys.of("new") for keys in all))
    assert len(set(drawn)) == 1
    assert drawn[0] not in (bytes(32), await all[0].of("quote"))
    async with work.reading() as tx:
        assert drawn[0] not in (await tx.own_key("new") or b"")
    assert Signer(drawn[0])(b"message") != Signer(bytes(32))(b"message")


def test_a_price_in_another_currency_than_its_book_is_no_price() -> None:
    odd = catalog_pb.PlanPrice(slug="m", price=Money(minor=1, currency="EUR"))
    with pytest.raises(CatalogUnavailable, match="EUR"):
        to_book(catalog_pb.PriceBook(number=1, currency="OMR", plans=[odd]), ())


def test_a_metered_plan_has_rates_only_if_every_rate_is_set() -> None:
    plan = catalog_pb.PlanPrice(slug="flexi", price=Money(currency="OMR"), metered=True)
    set_, unset = catalog_pb.Rate(meter="meters/a", unit_price=Money(minor=1, currency="OMR")), catalog_pb.Rate()

    def sold(*rates: catalog_pb.Rate) -> bool:
        book = catalog_pb.PriceBook(number=1, currency="OMR", plans=[plan], rates=rates)
        return to_book(book, ()).plans["flexi"].has_rates

    assert [sold(), sold(set_), sold(set_, unset)] == [False, True, False]


async def test_every_event_names_its_aggregate_and_its_version(billing: Billing) -> None:
    await billing.issue("FOUR", minor=4000)
    await billing.reached(await billing.order(code="FOUR", apps=["chat"], add_ons=["waf"]), "PAID")
    outbox = metadata.tables["outbox"]
    async with billing.daemon.daemon.db.read() as sql:
        rows = (await sql.execute(select(outbox).order_by(outbox.c.number))).mappings().all()
    by_name = {message.full_name: message for message in events_pb2.DESCRIPTOR.message_types_by_name.values()}
    seen: dict[str, list[int]] = {}
    for row in rows:
        message = getattr(events_pb2, by_name[row["schema"]].name).FromString(row["body"])
        assert (aggregate_of(message), version_of(message)) == (row["aggregate"], row["version"])
        assert b"FOUR" not in row["body"], "codes never travel"
        seen.setdefault(row["aggregate"], []).append(row["version"])
    assert all(versions == sorted(set(versions)) for versions in seen.values()), seen
    paid = next(events_pb2.OrderPaid.FromString(r["body"]) for r in rows if r["subject"].endswith("order.paid"))
    assert (paid.plan, list(paid.apps), list(paid.add_ons), paid.price_book_version) == ("m", ["chat"], ["waf"], 1)
    assert (paid.paid_by_card.minor, paid.paid_by_credit.minor, paid.currency) == (5000, 4000, "OMR")


def test_each_event_is_the_message_that_names_its_subject() -> None:
    for emitted in EMITTED:
        resource, fact = emitted.subject.split(".")[3:]
        assert hasattr(events_pb2, f"{resource.capitalize()}{fact.capitalize()}")
