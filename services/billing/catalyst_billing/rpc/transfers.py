"""Accounts between Sovereigns: exported as signed bundles, taken over once."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import uuid4

from catalyst.billing.v1 import service_pb2
from catalyst_mesh import Work
from catalyst_sdk import Decision
from google.longrunning import operations_pb2
from google.protobuf.message import Message

from ..domain import accounts, postings, transfers
from ..domain.accounts import AccountNotFound, BillingAccount
from ..domain.credit import Grant
from ..domain.ledger import Txn
from ..domain.money import Money
from ..domain.postings import Books, credit_of
from ..domain.transfers import Bundle, BundleImported, BundleInvalid, Imported, Line, OrdersOpen
from ..signing import Seal, verifies
from ..store import Store
from ..store.mapping import of_plain, plain
from . import convert
from .names import check_etag

EXPORT, IMPORT = "operations/billing-export-", "operations/billing-import-"


class Transfers:
    """Exports and takes over."""

    def __init__(self, work: Work[Store], books: Books, seal: Seal, trusted: Mapping[str, str], currency: str) -> None:
        """Wire it; `trusted` has the public keys of other Sovereigns, in hex."""
        self._work = work
        self._books = books
        self._seal = seal
        self._keys = {name: verifies(public) for name, public in trusted.items()}
        self._currency = currency

    async def export(self, org: str, target: str, etag: str) -> operations_pb2.Operation:
        """Freeze an account and make its bundle. Raises AccountNotFound, OrdersOpen."""
        name = f"{EXPORT}{uuid4().hex}"
        made: list[operations_pb2.Operation] = []

        async def step(tx: Store) -> Decision[BillingAccount]:
            account = await tx.lock_account(org)
            if account is None:
                raise AccountNotFound(account=f"billingAccounts/{org}")
            check_etag(etag, account.name, account.version)
            if opened := (await tx.rivals(org, "", None)).open_order:
                raise OrdersOpen(account=account.name, order=opened)
            frozen = accounts.freeze(account, tx.now)
            bundle = transfers.seal(await self._body(tx, frozen.state, f"sovereigns/{target}"), self._seal)
            response = service_pb2.ExportAccountResponse(bundle=bundle, digest=transfers.digest_of(bundle))
            made.append(_done(name, account.name, response))
            await tx.keep_operation(name, made[-1].SerializeToString())
            return frozen

        return await self._work.run(step, answer=lambda _: made[-1])

    async def take_over(self, bundle: bytes, *, validate_only: bool) -> operations_pb2.Operation:
        """Take over a bundle. Raises BundleInvalid, BundleImported."""
        body = transfers.unseal(bundle, self._books.sovereign, self._keys)
        found, digest = _bundle(body), transfers.digest_of(bundle)
        name = f"{IMPORT}{uuid4().hex}"

        async def step(tx: Store) -> Decision[tuple[Any, ...]]:
            account = await self._account(tx, found)
            id = transfers.import_id(found.source, found.account.org)
            if await tx.imported(id) is not None:
                raise BundleImported(account=found.account.name, source=found.source)
            uses = tuple(dict(use) for use in found.uses)
            note = Imported(id, found.source, found.account.org, digest, uses, tx.now)
            if not validate_only:
                await tx.keep_operation(name, answer((account,)).SerializeToString())
            return Decision((account, note, *found.grants, *self._history(found, id)))

        def answer(parts: tuple[Any, ...]) -> operations_pb2.Operation:
            return _done(name, found.account.name, convert.account(parts[0]))

        ask = self._work.rehearse if validate_only else self._work.run
        return await ask(step, answer=answer)

    async def _body(self, tx: Store, account: BillingAccount, target: str) -> Mapping[str, Any]:
        book = credit_of(account.org, account.currency)
        history = [
            {"id": f"{row['id']}.{row['n']}", "amount": -row["amount_minor"], "reason": row["reason"],
             "order": row["order"], "at": row["booked_at"].isoformat()}
            for row in await tx.history(book)
        ]  # fmt: skip
        grants = [grant for grant in await tx.grants(account.org) if grant.amount.currency == account.currency]
        uses = [{key: plain(value) for key, value in use.items()} for use in await tx.uses_of(account.org)]
        return {
            "source": self._books.sovereign, "target": target, "account": plain(replace(account, customers={})),
            "grants": [plain(grant) for grant in grants], "uses": uses, "history": history,
            "exported_at": tx.now.isoformat(),
        }  # fmt: skip

    async def _account(self, tx: Store, bundle: Bundle) -> BillingAccount:
        known = await tx.lock_account(bundle.account.org)
        transfers.check(bundle, known)
        if known is not None:
            known.require_open()
            return known
        theirs = bundle.account
        return replace(
            theirs, uid=str(uuid4()), state=accounts.State.OPEN, customers={}, created_at=tx.now, updated_at=tx.now,
            version=1,
        )  # fmt: skip

    def _history(self, bundle: Bundle, id: str) -> list[Txn]:
        """One posting for each line, in the order in which they happened."""
        return [
            postings.credit_taken_over(
                self._books, key=f"import:{id}:{n}", org=bundle.account.org, source=bundle.source,
                amount=Money(line.amount, bundle.account.currency), reason=line.reason, order=line.order, at=line.at,
            )
            for n, line in enumerate(bundle.history, 1)
        ]  # fmt: skip


def _bundle(body: Mapping[str, Any]) -> Bundle:
    """Raises BundleInvalid for a body that lacks something or has what cannot be."""
    try:
        history = tuple(
            Line(str(row["id"]), int(row["amount"]), str(row["reason"]), str(row["order"]), _moment(row["at"]))
            for row in body["history"]
        )
        grants = tuple(replace(of_plain(Grant, row), version=1) for row in body["grants"])
        return Bundle(
            source=str(body["source"]), target=str(body["target"]), account=of_plain(BillingAccount, body["account"]),
            grants=grants, uses=tuple(body["uses"]), history=history, exported_at=_moment(body["exported_at"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise BundleInvalid(why="something is missing in it") from error


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _done(name: str, account: str, response: Message) -> operations_pb2.Operation:
    """Exports and imports are done within the call: the Operation is finished when told."""
    operation = operations_pb2.Operation(name=name, done=True)
    operation.metadata.Pack(service_pb2.AccountTransferMetadata(account=account, progress_percent=100, step="done"))
    operation.response.Pack(response)
    return operation
