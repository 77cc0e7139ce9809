"""Writing the book. Only `Books.post` writes entries, and only those of a balanced transaction."""

from collections.abc import Sequence
from typing import Any

from catalyst_mesh import Ready, Transaction
from sqlalchemy import BigInteger, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ..domain.ledger import Account, Entry, Kind, OwnerKind, Part, Txn
from ..domain.money import Money
from .mapping import of_plain, plain
from .tables import ledger_account, ledger_balance, ledger_entry, ledger_txn


class Books(Transaction):
    """The part of the store that keeps the book."""

    async def post(self, txn: Txn) -> None:
        """Write a transaction, its entries and the balances that follow. Raises LostRace if its key was used."""
        entries = sorted(txn.entries, key=lambda entry: entry.account.lock_order)
        row = {name: getattr(txn, name) for name in _TXN_COLUMNS}
        row |= {name: plain(getattr(txn, name)) for name in _TXN_PARTS}
        row |= {"reverses": txn.reverses or None, "created_at": self.now, "org": _org_of(entries)}
        await self.write(_TRANSACTION, row)
        for entry in entries:
            await self._move(entry)
        lines = [
            {"txn_id": txn.id, "n": n, "account_id": entry.account.id, "amount_minor": entry.amount.minor}
            for n, entry in enumerate(txn.entries, 1)
        ]
        await _ENTRY.each(self.sql, lines)

    async def txn(self, idem_key: str) -> Txn | None:
        """The transaction that was written under a key."""
        query = select(ledger_txn).where(ledger_txn.c.idem_key == idem_key)
        row = (await self.sql.execute(query)).mappings().one_or_none()
        if row is None:
            return None
        joined = select(ledger_entry.c.amount_minor, ledger_account).join(ledger_account)
        lines = joined.where(ledger_entry.c.txn_id == row["id"]).order_by(ledger_entry.c.n)
        entries = [_entry(line) for line in (await self.sql.execute(lines)).mappings()]
        kept = {name: row[name] for name in _TXN_COLUMNS if name != "id"}
        parts = {name: of_plain(tuple[Part, ...], row[name]) for name in _TXN_PARTS}
        return Txn(**{**kept, **parts, "reverses": row["reverses"] or ""}, entries=tuple(entries))

    async def balance(self, account: Account) -> tuple[Money, int]:
        """The stored balance of an account and its version; nothing and 0 for one that was never used."""
        query = select(ledger_balance).where(ledger_balance.c.account_id == account.id)
        row = (await self.sql.execute(query)).mappings().one_or_none()
        return (
            (Money(row["amount_minor"], account.currency), row["version"]) if row else (Money(0, account.currency), 0)
        )

    async def _move(self, entry: Entry) -> None:
        """Add an entry to its account's balance, which is locked from here to the commit."""
        given = {"at_account": entry.account.id, "amount": entry.amount.minor}
        # Nearly all accounts were used before, so whether one is there is asked only where the answer was no.
        if await _MOVE.count(self.sql, given) == 0:
            await self._open(entry.account)
            await self.write(_MOVE, given)

    async def _open(self, account: Account) -> None:
        """Make an account and its balance; of two first comers one waits for the other's here."""
        account_row = {"id": account.id, "owner_kind": account.owner_kind.value, "owner": account.owner}
        account_row |= {"kind": account.kind.value, "currency": account.currency}
        balance_row = {"account_id": account.id, "kind": account.kind.value, "amount_minor": 0, "version": 0}
        insert_new = (postgresql if self.has_row_locks else sqlite).insert
        await self.sql.execute(insert_new(ledger_account).on_conflict_do_nothing(), account_row)
        await self.sql.execute(insert_new(ledger_balance).on_conflict_do_nothing(), balance_row)


_TRANSACTION, _ENTRY = Ready(insert(ledger_txn)), Ready(insert(ledger_entry))
_MOVE = Ready(
    update(ledger_balance)
    .where(ledger_balance.c.account_id == bindparam("at_account"))
    .values(
        amount_minor=ledger_balance.c.amount_minor + bindparam("amount", type_=BigInteger),
        version=ledger_balance.c.version + 1,
    )
)
_TXN_COLUMNS = (
    "id", "idem_key", "kind", "booked_at", "actor", "reason", "order", "voucher", "reverses", "sovereign"
)  # fmt: skip

_TXN_PARTS = ("vouchers", "items")


def _entry(row: Any) -> Entry:
    account = Account(OwnerKind(row["owner_kind"]), row["owner"], Kind(row["kind"]), row["currency"])
    return Entry(account, Money(row["amount_minor"], row["currency"]))


def _org_of(entries: Sequence[Entry]) -> str:
    owners = [e.account.owner.removeprefix("organizations/") for e in entries if e.account.owner_kind is OwnerKind.ORG]
    return owners[0] if owners else ""
