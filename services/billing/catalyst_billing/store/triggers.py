"""The book defends itself, whoever holds a connection: rows are never changed, transactions sum to zero.

PostgreSQL looks at each transaction's sum when it commits; SQLite has no deferred triggers, so there the unit of work
alone does. A document that has a number is sealed likewise. The migrations have the same statements, word for word.
"""

from sqlalchemy import DDL, MetaData, event

BOOK = ("ledger_txn", "ledger_entry")

SQLITE = tuple(
    f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
    "BEGIN SELECT RAISE(ABORT, 'the book is written once'); END"
    for table in BOOK
    for verb in ("UPDATE", "DELETE")
)

POSTGRESQL = (
    """CREATE FUNCTION refuse_change_of_book() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'the book is written once' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    *(
        f"CREATE TRIGGER {table}_no_{verb.lower().split()[0]} BEFORE {verb} ON {table} "
        f"FOR EACH {each} EXECUTE FUNCTION refuse_change_of_book()"
        for table in BOOK
        for verb, each in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT"))
    ),
    """CREATE FUNCTION refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM ledger_entry e JOIN ledger_account a ON a.id = e.account_id
            WHERE e.txn_id = NEW.txn_id GROUP BY a.currency HAVING sum(e.amount_minor) <> 0
        ) THEN
            RAISE EXCEPTION 'transaction % does not balance', NEW.txn_id
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NULL;
    END $$""",
    "CREATE CONSTRAINT TRIGGER ledger_entry_balances AFTER INSERT ON ledger_entry "
    "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced()",
)


SEALED = (
    "org", "kind", "lines", "currency", "subtotal_minor", "tax_minor", "total_minor", "created_at", "number",
    "subscription", "order", "corrects", "period_start", "period_end", "finalized_at", "due_at", "hash",
)  # fmt: skip
"""Columns of a document that its number seals."""

INVOICE_SQLITE = (
    "CREATE TRIGGER invoice_is_sealed BEFORE UPDATE ON invoice WHEN OLD.state <> 'draft' AND ("
    + " OR ".join(f'OLD."{column}" IS NOT NEW."{column}"' for column in SEALED)
    + ") BEGIN SELECT RAISE(ABORT, 'a finalised document never changes'); END",
    "CREATE TRIGGER invoice_is_kept BEFORE DELETE ON invoice WHEN OLD.state <> 'draft' "
    "BEGIN SELECT RAISE(ABORT, 'a finalised document never changes'); END",
)

INVOICE_POSTGRESQL = (
    """CREATE FUNCTION refuse_change_of_invoice() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'a finalised document never changes' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    "CREATE TRIGGER invoice_is_sealed BEFORE UPDATE ON invoice FOR EACH ROW WHEN (OLD.state <> 'draft' AND ("
    + " OR ".join(f'OLD."{column}" IS DISTINCT FROM NEW."{column}"' for column in SEALED)
    + ")) EXECUTE FUNCTION refuse_change_of_invoice()",
    "CREATE TRIGGER invoice_is_kept BEFORE DELETE ON invoice FOR EACH ROW WHEN (OLD.state <> 'draft') "
    "EXECUTE FUNCTION refuse_change_of_invoice()",
    "CREATE TRIGGER invoice_is_never_emptied BEFORE TRUNCATE ON invoice "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_invoice()",
)


def defend(metadata: MetaData) -> None:
    """Make the triggers together with the tables."""
    for dialect, statements in (("sqlite", SQLITE + INVOICE_SQLITE), ("postgresql", POSTGRESQL + INVOICE_POSTGRESQL)):
        for statement in statements:
            # A per cent sign would be taken for a place to be filled in.
            ddl = DDL(statement.replace("%", "%%"))  # type: ignore[no-untyped-call]  # SQLAlchemy's own
            ddl = ddl.execute_if(dialect=dialect)
            event.listen(metadata, "after_create", ddl)
