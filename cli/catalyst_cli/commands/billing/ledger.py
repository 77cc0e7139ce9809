"""`catalyst billing ledger`: the book is read and proved; and what a person must look at."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show

from . import words

ACCOUNTS = {"ACCOUNT": "name", "OWNER": "owner", "KIND": "kind", "BALANCE": "balance"}
TRANSACTIONS = {"TRANSACTION": "name", "KIND": "kind", "BOOKED": "bookedTime", "BY": "actor", "ORDER": "order"}
FINDINGS = {"FINDING": "name", "SEVERITY": "severity", "REASON": "reason", "SUBJECT": "subject", "WHAT": "message"}


def accounts(
    owner: Annotated[str, typer.Option(help="Resource name of the owner, such as organizations/acme.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List the accounts of the book with their balances: debits above zero, credits below.

    Examples:

        catalyst billing ledger accounts

        catalyst billing ledger accounts --owner organizations/acme
    """
    with Api(context()) as api:
        rows = api.pages("/v1/billing/ledgerAccounts", "ledgerAccounts", owner=owner)
    plain = [{**words.shown(row, "balance"), "kind": row["kind"].removeprefix("KIND_")} for row in rows]
    show(output, {"ledgerAccounts": rows}, ACCOUNTS, plain)


def payout(
    parent: Annotated[str, typer.Argument(help="Who paid, providers/NAME, or what was paid, statements/YYYY-MM.")],
    reference: Annotated[str, typer.Argument(help="The bank's or the provider's word for it.")],
    minor: Annotated[int, typer.Option(help="What reached the bank, in minor units.")],
    fee: Annotated[int, typer.Option(help="What the provider kept, in minor units.")] = 0,
    currency: Annotated[str, typer.Option(help="ISO 4217 code.")] = "OMR",
    paid: Annotated[str, typer.Option(help="Day or moment of the payment; now, where it is not said.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """Book what a payment provider paid out, or the publisher's share of a stated month. The same again is booked once.

    Examples:

        catalyst billing ledger payout providers/stripe po_1 --minor 90000 --fee 2500

        catalyst billing ledger payout statements/2026-01 bank-77 --minor 8400
    """
    body: dict[str, Any] = {
        "parent": parent, "reference": reference, "amount": {"minor": str(minor), "currency": currency}
    }  # fmt: skip
    body |= {"fee": {"minor": str(fee), "currency": currency}} if fee else {}
    body |= {"paidTime": words.moment(paid)} if paid else {}
    with Api(context()) as api:
        booked = api.post("/v1/billing/ledger:recordPayout", body, once=new_request_id())
    show(output, booked, TRANSACTIONS)


def transactions(
    account: Annotated[str, typer.Option(help="Account of the book, ledgerAccounts/<id>.")] = "",
    order: Annotated[str, typer.Option(help="Order, billingAccounts/<org>/orders/<id>.")] = "",
    since: Annotated[str, typer.Option(help="From this day or moment on.")] = "",
    until: Annotated[str, typer.Option(help="Before this day or moment.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List transactions, newest first.

    Examples:

        catalyst billing ledger transactions --order billingAccounts/acme/orders/o-1

        catalyst billing ledger transactions --since 2026-12-01 -o json
    """
    query: dict[str, Any] = {
        "account": account, "order": order, "startTime": words.moment(since) if since else "",
        "endTime": words.moment(until) if until else "",
    }  # fmt: skip
    with Api(context()) as api:
        rows = api.pages("/v1/billing/ledgerTransactions", "ledgerTransactions", **query)
    show(output, {"ledgerTransactions": rows}, TRANSACTIONS, rows)


def prove(output: Output = Form.TABLE) -> None:
    """Prove the whole book: every transaction balances, no credit is negative, balances equal a replay.

    Examples:

        catalyst billing prove
    """
    with Api(context()) as api:
        answer = api.post("/v1/billing/ledger:prove", once=new_request_id())["response"]
    differences = answer.get("differences", [])
    if output is not Form.TABLE:
        show(output, answer, {})
    else:
        err.print(f"{answer['entryCount']} entries, {len(differences)} differences", markup=False)
        rows = [words.shown(row, "expected", "found") for row in differences]
        if rows:
            show(output, answer, {"RULE": "rule", "ACCOUNT": "account", "EXPECTED": "expected", "FOUND": "found"}, rows)
    if not answer["proved"]:
        raise Failure("the book does not hold", next_step="catalyst billing findings", exit_code=1)


def findings(
    reason: Annotated[str, typer.Option(help="Only of this reason, such as AMOUNT_MISMATCH.")] = "",
    output: Output = Form.TABLE,
) -> None:
    """List what a person must look at, latest seen first.

    Examples:

        catalyst billing findings

        catalyst billing findings --reason PAYMENT_UNKNOWN -o json
    """
    with Api(context()) as api:
        rows = api.pages("/v1/billing/findings", "findings", reason=reason)
    show(output, {"findings": rows}, FINDINGS, rows)
