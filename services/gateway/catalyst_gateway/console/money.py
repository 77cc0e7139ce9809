"""Money: revenue, accounts with their orders, vouchers, and the book."""

from .asking import together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_ACCOUNT = "/console/billingAccounts/{account:str}"


@page("/console/money")
async def overview(at: Visit) -> Shown:
    """Revenue, accounts, and what does not balance; whoever keeps the Sovereign and no money begins with the vouchers."""
    if not at.person.has_any(("billing-admin",)):
        return at.go("/console/money/vouchers")
    revenue, accounts, findings = await together(
        at.api.get("/v1/billing/revenue"),
        at.api.all("/v1/billing/billingAccounts", "accounts"),
        at.api.all("/v1/billing/findings", "findings"),
    )  # fmt: skip - one call
    return at.show("money.html", title="Money", tab="", revenue=revenue, accounts=accounts, findings=findings)


@page(_ACCOUNT)
async def account(at: Visit) -> Shown:
    """One account: its balance, and its orders with their vouchers."""
    name = f"billingAccounts/{at.names['account']}"
    one, balance, orders = await together(
        at.api.get(f"/v1/billing/{name}"),
        at.api.get(f"/v1/billing/{name}/balance"),
        at.api.all(f"/v1/billing/{name}/orders", "orders"),
    )  # fmt: skip - one call
    return at.show("account.html", title=at.names["account"], one=one, balance=balance, orders=orders)


@page("/console/money/vouchers")
async def vouchers(at: Visit) -> Shown:
    """All vouchers, and how far each is used."""
    return await _vouchers(at)


async def _vouchers(at: Visit, faults: Faults = NONE) -> Shown:
    rows = await at.api.all("/v1/billing/vouchers", "vouchers")
    return at.show(
        "vouchers.html",
        title="Vouchers",
        tab="vouchers",
        rows=rows,
        faults=faults,
        given=at.form,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action("/console/money/vouchers")
async def issue(at: Visit) -> Shown:
    """A new voucher that gives credit, active at once."""
    amount = {"minor": at.form.get("voucher.amount.minor", ""), "currency": at.form.get("voucher.amount.currency", "")}
    wish = {
        "code": at.form.get("voucher.code", ""),
        "amount": amount,
        "description": at.form.get("voucher.description", ""),
        "maxTotal": at.form.get("voucher.max_total") or "1",
    }  # fmt: skip - a body
    try:
        await at.api.send("POST", "/v1/billing/vouchers", wish, activate=True)
    except REFUSALS as refused:
        return await _vouchers(at, Faults.of(refused))
    return at.go("/console/money/vouchers")


@action("/console/money/vouchers/{voucher:str}/{verb:str}")
async def change(at: Visit) -> Shown:
    """Activate, pause or revoke one."""
    name = f"vouchers/{at.names['voucher']}"
    one = await at.api.get(f"/v1/billing/{name}")
    body = {"reason": "revoked in the console"} if at.names["verb"] == "revoke" else {}
    try:
        await at.api.send("POST", f"/v1/billing/{name}:{at.names['verb']}", body, etag=one["etag"])
    except REFUSALS as refused:
        return await _vouchers(at, Faults.of(refused))
    return at.go("/console/money/vouchers")


@page("/console/money/book")
async def book(at: Visit) -> Shown:
    """The book: balances, and the newest transactions with their postings."""
    account = at.query.get("account", "")
    accounts, transactions = await together(
        at.api.all("/v1/billing/ledgerAccounts", "ledgerAccounts"),
        at.api.get("/v1/billing/ledgerTransactions", pageSize=100, account=account),
    )
    rows = transactions["ledgerTransactions"]
    return at.show("book.html", title="The book", tab="book", accounts=accounts, rows=rows, account=account)


PAGES = (overview, account, vouchers, issue, change, book)
