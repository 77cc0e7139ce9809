"""Tables of billing. Unique constraints stand before data does; every customer's row carries `org`.

Amounts are BIGINT minor units beside one CHAR(3) currency per row; documents that nobody searches are JSON.
"""

from typing import Any

from catalyst_mesh import ROW_NUMBER, Json, UtcTime, chassis_tables
from catalyst_mesh.sealing import SEALED
from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from .triggers import defend

metadata = MetaData()
chassis_tables(metadata)
defend(metadata)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _time(name: str, *, nullable: bool = False) -> Column[object]:
    return Column(name, UtcTime, nullable=nullable)


def _minor(name: str) -> Column[int]:
    return Column(f"{name}_minor", BigInteger, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _document(name: str) -> Column[object]:
    return Column(name, Json, nullable=False)


def _int(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _added(name: str, kind: Any, default: str) -> Column[Any]:
    """A column that a later release added: the release before leaves it to its default, a plain value.

    For an expression SQLite would have to make the table anew, and the triggers that defend it would be gone.
    """
    return Column(name, kind, nullable=False, server_default=default)


def _currency() -> Column[str]:
    return Column("currency", CHAR(3), nullable=False)


def _partial(name: str, *columns: str, where: str) -> Index:
    return Index(name, *columns, unique=True, sqlite_where=text(where), postgresql_where=text(where))


_DIGITS = " + ".join(f"(instr('0123456789abcdef', substr(txn_id, -{n + 1}, 1)) << {4 * n})" for n in range(7))
TXN_KEY = f"((1 << 30) | (({_DIGITS}) << 1) | 1)"
"""An odd number of 31 bits from the last seven digits of a transaction's id, which is a digest. SQLite has no function that
makes a number of a text, so it keeps these in an index, for the proof."""

billing_account = Table(
    "billing_account", metadata,
    _key("org"), _text("uid"), _currency(), _text("state"), _time("created_at"), _time("updated_at"), _number("version"),
    _added("contact", Json, "{}"), _added("tax", Json, "{}"), _added("customers", Json, "{}"),
)  # fmt: skip

ledger_account = Table(
    "ledger_account", metadata,
    _key("id"), _text("owner_kind"), _text("owner"), _text("kind"), _currency(),
    UniqueConstraint("owner_kind", "owner", "kind", "currency", name="ledger_account_is_one"),
)  # fmt: skip
ledger_txn = Table(
    "ledger_txn", metadata,
    _key("id"), Column("idem_key", Text, nullable=False, unique=True), _text("kind"), _time("booked_at"),
    _time("created_at"), _text("actor"), _text("reason"), _text("order"), _text("voucher"),
    Column("reverses", Text, ForeignKey("ledger_txn.id"), unique=True), _text("sovereign"), _text("org"),
    _added("vouchers", Json, "[]"), _added("items", Json, "[]"),
    Index("ledger_txn_order", "order"),
)  # fmt: skip
ledger_entry = Table(
    "ledger_entry", metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("txn_id", Text, ForeignKey("ledger_txn.id"), nullable=False), Column("n", Integer, nullable=False),
    Column("account_id", Text, ForeignKey("ledger_account.id"), nullable=False), _minor("amount"),
    UniqueConstraint("txn_id", "n", name="ledger_entry_is_one"),
    CheckConstraint("amount_minor <> 0", name="ledger_entry_is_not_zero"),
    Index("ledger_entry_of_account", "account_id", "number", "amount_minor"),
    Index("ledger_entry_weighed", "account_id", "amount_minor", text(TXN_KEY)).ddl_if(dialect="sqlite"),
)  # fmt: skip
ledger_balance = Table(
    "ledger_balance", metadata,
    Column("account_id", Text, ForeignKey("ledger_account.id"), primary_key=True), _text("kind"), _minor("amount"),
    _number("version"),
    CheckConstraint("kind <> 'customer_credit' OR amount_minor <= 0", name="credit_is_never_negative"),
)  # fmt: skip

credit_grant = Table(
    "credit_grant", metadata,
    _key("id"), _text("org"), _currency(), _minor("amount"), _minor("remaining"), _minor("held"), _text("source"),
    _time("effective_at"), _time("expires_at", nullable=True), Column("priority", Integer, nullable=False),
    _document("plans"), _document("blueprints"), _text("voucher"), _text("order"), _time("created_at"),
    _time("updated_at"), _number("version"),
    CheckConstraint(
        "0 <= held_minor AND held_minor <= remaining_minor AND remaining_minor <= amount_minor", name="grant_is_covered"
    ),
    Index("credit_grant_org", "org", "currency"), Index("credit_grant_expiry", "expires_at"),
)  # fmt: skip
credit_hold = Table(
    "credit_hold", metadata,
    _key("id"), _text("org"), _currency(), _document("draws"), _minor("promised"), _text("state"), _time("expires_at"),
    _number("version"),
    Index("credit_hold_org", "org", "state"),
)  # fmt: skip

voucher = Table(
    "voucher", metadata,
    _key("id"), Column("code", Text, nullable=False, unique=True), _document("terms"), _text("state"),
    _text("issued_by"), _time("created_at"), _time("updated_at"), _number("version"), _added("campaign", Text, ""),
    _added("revision", BigInteger, "1"), _time("ends_at", nullable=True),
    Index("voucher_campaign", "campaign"),
)  # fmt: skip
voucher_revision = Table(
    "voucher_revision", metadata,
    _key("voucher"), Column("revision", BigInteger, primary_key=True, autoincrement=False), _document("terms"),
    _text("campaign"), _text("changed_by"), _time("created_at"),
)  # fmt: skip
campaign = Table(
    "campaign", metadata,
    _key("id"), _text("uid"), _text("title"), Column("budget", Json), _time("created_at"), _time("updated_at"),
    _number("version"),
)  # fmt: skip
preview_try = Table(
    "preview_try", metadata,
    Column("number", ROW_NUMBER, primary_key=True, autoincrement=True), _text("bucket"), _time("at"),
    Index("preview_try_bucket", "bucket", "at"), Index("preview_try_at", "at"),
)  # fmt: skip
voucher_use = Table(
    "voucher_use", metadata,
    _key("id"), Column("voucher", Text, ForeignKey("voucher.id"), nullable=False), _text("org"), _text("order"),
    _minor("value"), _currency(), _document("terms"), _number("revision"), _text("state"), _time("expires_at"),
    _time("created_at"), _time("settled_at", nullable=True), _text("grant"), _number("version"),
    Index("voucher_use_voucher", "voucher", "state"),
    _partial("voucher_use_is_one", "voucher", "order", where="\"order\" <> '' AND state <> 'released'"),
)  # fmt: skip

quote = Table(
    "quote", metadata,
    _key("id"), _text("org"), _document("selection"), _document("purpose"), _text("voucher"),
    _number("price_book_version"), _document("priced"), _time("created_at"), _time("expires_at"),
    Column("signature", LargeBinary, nullable=False), _text("used_by"), _number("version"),
)  # fmt: skip
order = Table(
    "order", metadata,
    _key("id"), _text("org"), _text("state"), _text("quote"), _document("selection"), _document("blueprints"),
    _document("lines"), _number("price_book_version"), _currency(), _minor("total"), _minor("tax"), _minor("credit"),
    _minor("rounding"), _minor("due"), _minor("paid_by_card"), _minor("refunded"), _time("deadline"),
    _time("created_at"), _time("updated_at"), _text("environment"), _text("voucher"), _text("subscription"),
    _text("provider"), Column("save_method", Boolean, nullable=False), _text("return_url"), _text("sovereign"),
    Column("claims_sovereign", Boolean, nullable=False), _time("paid_at", nullable=True), _text("failure_reason"),
    _number("version"), _added("kind", Text, "subscription"), _added("invoice", Text, ""),
    Column("change", Json), _added("installed", Json, "[]"),
    _time("fulfilled_at", nullable=True), _time("given_up_at", nullable=True),
    CheckConstraint("refunded_minor <= total_minor", name="order_refund_is_no_excess"),
    Index("order_org", "org", "created_at"), Index("order_deadline", "state", "deadline"),
    _partial("order_is_one_open_of_kind", "org", "kind", where="state IN ('reserved', 'awaiting_payment')"),
    _partial("order_is_one_of_sovereign", "sovereign", where="claims_sovereign"),
)  # fmt: skip
subscription = Table(
    "subscription", metadata,
    _key("id"), _text("org"), _text("scope"), _text("order"), _text("state"), _text("plan"), _document("add_ons"),
    _number("price_book_version"), _currency(), _minor("price"), Column("anchor_day", Integer, nullable=False),
    _time("period_start"), _time("period_end"), Column("period_months", Integer, nullable=False), _text("provider"),
    _time("created_at"), _time("updated_at"), _number("version"), _time("anchor_at", nullable=True),
    _added("items", Json, "[]"), _added("apps", Json, "[]"), _added("percent", Integer, "0"),
    _added("percent_periods", Integer, "0"), _added("customer", Text, ""), _added("method", Text, ""),
    _added("method_label", Text, ""), _added("cancel_at_period_end", Boolean, "0"), Column("pending", Json),
    Column("repricing", Json),
    _added("compared_book", BigInteger, "0"), _time("trial_end", nullable=True), _added("trial_plan", Text, ""),
    _added("invoice", Text, ""), _added("charge", Text, ""), _time("past_due_at", nullable=True),
    _time("next_try_at", nullable=True), _added("tries", Integer, "0"), _time("erase_not_before", nullable=True),
    _time("wake_at", nullable=True), Column("last", Json),
    _partial("subscription_is_one_live", "scope", where="state <> 'cancelled'"),
    _partial("subscription_trial_is_one", "org", "trial_plan", where="trial_plan <> ''"),
    Index("subscription_due", "wake_at"), Index("subscription_order", "order"),
)  # fmt: skip
period = Table(
    "period", metadata,
    _key("subscription"), Column("start", UtcTime, primary_key=True), _time("end"), _text("org"), _document("pieces"),
    _currency(), _minor("charged"), _minor("tax"), _minor("earned"), _time("next_at", nullable=True),
    _text("sovereign"), _text("order"), _text("invoice"), _number("version"), _added("given_back_minor", BigInteger, "0"),
    Index("period_due", "next_at"), Index("period_order", "order"),
)  # fmt: skip

invoice_series = Table(
    "invoice_series", metadata,
    _key("series"), Column("year", Integer, primary_key=True, autoincrement=False), _number("last"), _number("version"),
)  # fmt: skip
invoice = Table(
    "invoice", metadata,
    _key("id"), _text("org"), _text("kind"), _text("state"), _document("lines"), _currency(), _minor("subtotal"),
    _minor("tax"), _minor("total"), _minor("credit"), _minor("due"), _time("created_at"), _time("updated_at"),
    _text("number"), _text("subscription"), _text("order"), _text("corrects"), _time("period_start", nullable=True),
    _time("period_end", nullable=True), _time("finalized_at", nullable=True), _time("due_at", nullable=True),
    _time("paid_at", nullable=True), _text("why"), _text("hash"), _number("version"),
    _added("addressee", Json, "{}"),
    Index("invoice_org", "org", "created_at"), Index("invoice_order", "order"),
    _partial("invoice_number_is_one", "number", where="number <> ''"),
)  # fmt: skip
charge = Table(
    "charge", metadata,
    _key("id"), _text("org"), _text("subscription"), _text("invoice"), _text("provider"), _text("customer"),
    _text("method"), _currency(), _minor("amount"), _minor("rounding"), _minor("credit"), _text("state"),
    _time("next_at"), _time("created_at"), _time("updated_at"), _text("payment"), _text("why"), _int("tries"),
    _number("version"),
    Index("charge_due", "state", "next_at"),
)  # fmt: skip

checkout = Table(
    "checkout", metadata,
    _key("id"), _text("org"), _text("provider"), _currency(), _minor("amount"), _text("state"), _time("expires_at"),
    _time("next_at"), _time("created_at"), _time("updated_at"), _text("ref"), _text("url"),
    Column("tries", Integer, nullable=False), _text("trouble"), _number("version"),
    Index("checkout_due", "state", "next_at"),
    _partial("checkout_ref_is_one", "provider", "ref", where="ref <> ''"),
)  # fmt: skip
payment = Table(
    "payment", metadata,
    _key("provider"), _key("ref"), _text("order"), _text("org"), _currency(), _minor("amount"), _text("state"),
    _time("received_at"), _number("version"),
    Index("payment_order", "order"),
)  # fmt: skip
refund = Table(
    "refund", metadata,
    _key("id"), _text("order"), _text("org"), _text("provider"), _text("payment"), _currency(), _minor("to_card"),
    _minor("to_credit"), _text("state"), _text("why"), _time("next_at"), _time("created_at"), _time("updated_at"),
    Column("tries", Integer, nullable=False), _number("version"), _added("from_card_minor", BigInteger, "0"),
    _added("dispute", Text, ""),
    Index("refund_due", "state", "next_at"), Index("refund_order", "order"),
)  # fmt: skip
dispute = Table(
    "dispute", metadata,
    _key("provider"), _key("ref"), _text("payment"), _text("order"), _text("org"), _currency(), _minor("amount"),
    _minor("booked"), _text("state"), _time("created_at"), _time("updated_at"), _number("version"),
    Index("dispute_payment", "payment"),
)  # fmt: skip
payment_method = Table(
    "payment_method", metadata,
    _key("org"), _key("provider"), _text("ref"), _text("customer"), _text("label"), _time("created_at"),
    _time("updated_at"), _number("version"),
)  # fmt: skip
provider = Table(
    "provider", metadata,
    _key("id"), _text("uid"), Column("is_enabled", Boolean, nullable=False), _document("config"), _time("created_at"),
    _time("updated_at"), _number("version"),
)  # fmt: skip
provider_secret = Table(
    "provider_secret", metadata,
    _key("provider"), _key("field"), _text("secret_ref"), Column("sealed", LargeBinary, info=SEALED),
    _text("last_four"), _time("updated_at"), _number("version"),
)  # fmt: skip
own_key = Table(
    "own_key", metadata,
    _key("name"), Column("sealed", LargeBinary, nullable=False, info=SEALED),
)  # fmt: skip
provider_event = Table(
    "provider_event", metadata,
    _key("provider"), _key("id"), _text("type"), _text("kind"), _text("ref"), _text("checkout"), _text("payment"),
    Column("body", LargeBinary, nullable=False, info=SEALED), _text("state"), _time("next_at"),
    Column("tries", Integer, nullable=False), _text("trouble"), _time("received_at"),
    _time("handled_at", nullable=True), _number("version"),
    Index("provider_event_due", "state", "next_at"), Index("provider_event_received", "provider", "received_at"),
)  # fmt: skip
reconciled = Table(
    "reconciled", metadata,
    _key("id"), _time("until"), _number("version"),
)  # fmt: skip
goodwill = Table(
    "goodwill", metadata,
    _key("id"), _text("org"), _currency(), _minor("amount"), _text("why"), Column("ttl", Json), _text("state"),
    _text("requested_by"), _text("approved_by"), _text("grant"), _time("created_at"), _time("updated_at"),
    _number("version"),
    Index("goodwill_org", "org", "created_at"),
)  # fmt: skip
imported = Table(
    "imported", metadata,
    _key("id"), _text("source"), _text("org"), _text("digest"), _document("uses"), _time("created_at"),
    _number("version"),
)  # fmt: skip
operation = Table(
    "operation", metadata,
    _key("name"), Column("answer", LargeBinary, nullable=False), _time("created_at"),
    Index("operation_made", "created_at"),
)  # fmt: skip
finding = Table(
    "finding", metadata,
    _key("id"), _text("reason"), _text("subject"), _text("message"), _text("severity"), _text("account"),
    _time("created_at"), _time("last_seen_at"), _number("version"),
    Index("finding_seen", "last_seen_at"),
)  # fmt: skip

meter = Table(
    "meter", metadata,
    _key("slug"), _text("unit"), _text("aggregation"), _document("dimensions"), _text("title"), _time("created_at"),
    _time("updated_at"), _number("version"),
)  # fmt: skip
usage_event = Table(
    "usage_event", metadata,
    _key("org"), _key("source"), _key("id"), _text("environment"), _text("application"), _text("meter"),
    _number("value"), _time("at"), _document("dimensions"), _time("received_at"),
    Column("is_adjustment", Boolean, nullable=False), Column("is_rated", Boolean, nullable=False), _text("invoice"),
    Index("usage_event_open", "org", "is_adjustment", "invoice"), Index("usage_event_time", "org", "at"),
)  # fmt: skip
usage_hour = Table(
    "usage_hour", metadata,
    _key("org"), _key("meter"), _key("environment"), _key("application"), Column("hour", UtcTime, primary_key=True),
    _number("value"), _number("rated"), _time("last_at", nullable=True), _text("last_id"),
    Index("usage_hour_time", "org", "hour"),
)  # fmt: skip
entitlement = Table(
    "entitlement", metadata,
    _key("org"), _currency(), _text("mode"), Column("max_cpu_milli", BigInteger), Column("max_ram_mb", BigInteger),
    Column("limit", BigInteger), _number("version"), _added("prepaid", Boolean, "0"),
    _time("drawn_until", nullable=True),
)  # fmt: skip
threshold_fired = Table(
    "threshold_fired", metadata,
    _key("org"), Column("period_start", UtcTime, primary_key=True), _key("dimension"),
    Column("percent", Integer, primary_key=True, autoincrement=False), _time("fired_at"), _number("version"),
)  # fmt: skip
rate_card = Table(
    "rate_card", metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False), _time("valid_from"), _document("card"),
)  # fmt: skip

agreement = Table(
    "agreement", metadata,
    _key("id"), _text("sovereign"), _time("valid_from"), _time("valid_to", nullable=True), _int("share_bps"),
    _text("basis"), _currency(), Column("floor", BigInteger), Column("cap", BigInteger), _time("created_at"),
    _time("updated_at"), _number("version"),
    Index("agreement_sovereign", "sovereign", "valid_from"),
)  # fmt: skip
statement = Table(
    "statement", metadata,
    _key("month"), Column("number", Text, nullable=False, unique=True), _text("sovereign"), _text("agreement"),
    _number("agreement_revision"), _time("cutoff"), _number("last_entry"), _currency(), _minor("gross"),
    _minor("voucher_credit"), _minor("publisher_share"), _minor("franchisee_share"), _document("lines"),
    Column("document", LargeBinary, nullable=False), Column("signature", LargeBinary, nullable=False),
    _time("issued_at"), _number("version"),
)  # fmt: skip
