"""`catalyst billing account`: accounts, their credit, goodwill, moves between Sovereigns."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, err, show
from catalyst_cli.reading import MOST_BYTES, bytes_of

from . import words

Slug = Annotated[str, typer.Argument(help="Slug of the Organization.")]
Reason = Annotated[str, typer.Option(help="Why, in a sentence.")]
MOST_BUNDLE = 16 * MOST_BYTES
COLUMNS = {"ACCOUNT": "name", "CURRENCY": "currency", "STATE": "state", "CONTACT": "contact.email"}
BALANCE = {"TOTAL": "total", "AVAILABLE": "available", "HELD": "held", "EXPIRING": "expiring"}
GRANTS = {"GRANT": "name", "SOURCE": "source", "AMOUNT": "amount", "LEFT": "remaining", "EXPIRES": "expireTime"}
GOODWILL = {"GOODWILL": "name", "STATE": "state", "AMOUNT": "amount", "BY": "requestedBy", "APPROVED": "approvedBy"}


def list_accounts(output: Output = Form.TABLE) -> None:
    """List billing accounts.

    Examples:

        catalyst billing account list

        catalyst billing account list -o json
    """
    with Api(context()) as api:
        rows = api.pages("/v1/billing/billingAccounts", "accounts")
    show(output, {"accounts": rows}, COLUMNS, rows)


def get(org: Slug, output: Output = Form.TABLE) -> None:
    """Show an account; its first reading opens it.

    Examples:

        catalyst billing account get acme
    """
    with Api(context()) as api:
        show(output, api.get(f"/v1/billing/{words.account(org)}"), COLUMNS)


def balance(org: Slug, output: Output = Form.TABLE) -> None:
    """Show the credit of an account: all of it, what is available, held, and expiring within 30 days.

    Examples:

        catalyst billing account balance acme
    """
    with Api(context()) as api:
        answer = api.get(f"/v1/billing/{words.account(org)}/balance")
    show(output, answer, BALANCE, [words.shown(answer, *BALANCE.values())])


def grants(
    org: Slug,
    spent: Annotated[bool, typer.Option("--spent", help="Those that are used up too.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """List credit grants in the order in which they burn.

    Examples:

        catalyst billing account grants acme

        catalyst billing account grants acme --spent
    """
    with Api(context()) as api:
        path = f"/v1/billing/{words.account(org)}/creditGrants"
        rows = api.pages(path, "creditGrants", showSpent=str(spent).lower())
    show(output, {"creditGrants": rows}, GRANTS, [words.shown(row, "amount", "remaining") for row in rows])


def update(
    org: Slug,
    email: Annotated[str | None, typer.Option(help="Address for invoices.")] = None,
    display_name: Annotated[str | None, typer.Option(help="Name of the person or company.")] = None,
    tax_id: Annotated[str | None, typer.Option(help="Tax registration number.")] = None,
    exempt: Annotated[bool | None, typer.Option("--exempt/--not-exempt", help="Skip tax rules.")] = None,
    output: Output = Form.TABLE,
) -> None:
    """Change whom invoices address, and tax data; what is not named stays.

    Examples:

        catalyst billing account update acme --email billing@acme.example --tax-id OM123
    """
    contact = {k: v for k, v in {"email": email, "displayName": display_name}.items() if v is not None}
    tax = {k: v for k, v in {"taxId": tax_id, "exempt": exempt}.items() if v is not None}
    paths = [f"contact.{field}" for field in contact] + [f"tax.{field}" for field in tax]
    name = words.account(org)
    with Api(context()) as api:
        show(output, api.change(f"/v1/billing/{name}", {"contact": contact, "tax": tax}, paths), COLUMNS)


def freeze(org: Slug, reason: Reason, yes: words.Yes = False, output: Output = Form.TABLE) -> None:
    """Stop all spending of an account.

    Examples:

        catalyst billing account freeze acme --reason "chargebacks" --yes
    """
    confirm(f"Freeze {words.account(org)}?", yes=yes)
    with Api(context()) as api:
        path = f"/v1/billing/{words.account(org)}:freeze"
        show(output, api.post(path, {"reason": reason}, once=new_request_id()), COLUMNS)


def unfreeze(org: Slug, reason: Reason, output: Output = Form.TABLE) -> None:
    """Let a frozen account spend again.

    Examples:

        catalyst billing account unfreeze acme --reason "paid"
    """
    with Api(context()) as api:
        path = f"/v1/billing/{words.account(org)}:unfreeze"
        show(output, api.post(path, {"reason": reason}, once=new_request_id()), COLUMNS)


def goodwill(
    org: Slug,
    amount: Annotated[str, typer.Argument(help='Such as "5.000 OMR".')],
    reason: Reason,
    ttl: Annotated[str, typer.Option(help="Lifetime of the credit, such as 30d; default: it never expires.")] = "",
    request_id: words.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Give credit. Beyond the month's limit the wish waits for a second person: `goodwill-approve`.

    Examples:

        catalyst billing account goodwill acme "5.000 OMR" --reason "outage of 12 March" --ttl 90d
    """
    wish: dict[str, Any] = {"amount": words.amount(amount), "reason": reason}
    wish |= {"ttl": words.lifetime(ttl)} if ttl else {}
    with Api(context()) as api:
        path = f"/v1/billing/{words.account(org)}:goodwill"
        answer = api.post(path, wish, once=request_id or new_request_id())
    show(output, answer, GOODWILL, [words.shown(answer, "amount")])


def approve(
    name: Annotated[str, typer.Argument(help="Goodwill, billingAccounts/<org>/goodwills/<id>.")],
    output: Output = Form.TABLE,
) -> None:
    """Approve goodwill that somebody else asked for.

    Examples:

        catalyst billing account goodwill-approve billingAccounts/acme/goodwills/gw-1
    """
    with Api(context()) as api:
        answer = api.post(f"/v1/billing/{name}:approve", once=new_request_id())
    show(output, answer, GOODWILL, [words.shown(answer, "amount")])


def goodwills(
    org: Annotated[str, typer.Argument(help="Slug, or - for all.")] = "-", output: Output = Form.TABLE
) -> None:
    """List goodwill, newest first.

    Examples:

        catalyst billing account goodwills

        catalyst billing account goodwills acme
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/billing/{words.account(org)}/goodwills", "goodwills")
    show(output, {"goodwills": rows}, GOODWILL, [words.shown(row, "amount") for row in rows])


def export(
    org: Slug,
    target: Annotated[str, typer.Option(help="Sovereign that takes it over, sovereigns/<id>.")],
    into: Annotated[Path, typer.Option(help="File to write the bundle to.")],
    yes: words.Yes = False,
) -> None:
    """Freeze an account and write it into a signed bundle for another Sovereign.

    Examples:

        catalyst billing account export acme --target sovereigns/second --into acme.bundle --yes
    """
    confirm(f"Freeze {words.account(org)} for good and export it?", yes=yes)
    with Api(context()) as api, _fresh(into) as file:
        wish = {"targetSovereign": words.full("sovereigns", target)}
        answer = api.post(f"/v1/billing/{words.account(org)}:export", wish, once=new_request_id())["response"]
        file.write(base64.b64decode(answer["bundle"]))
    err.print(f"{into} is written, SHA-256 {answer['digest']}", markup=False)


@contextmanager
def _fresh(path: Path) -> Iterator[BinaryIO]:
    """A file that was not there, open before anything happens that needs it; gone again where that fails. Raises Failure."""
    try:
        with path.open("xb") as file:
            yield file
    except FileExistsError as error:
        raise Failure(f"{path} is there already", next_step="choose another file for --into", exit_code=4) from error
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def import_account(
    bundle: Annotated[Path, typer.Argument(help="Bundle that another Sovereign exported.")],
    dry_run: words.DryRun = False,
    output: Output = Form.TABLE,
) -> None:
    """Take over an account, once.

    Examples:

        catalyst billing account import acme.bundle --dry-run
    """
    wish = {"bundle": base64.b64encode(bytes_of(bundle, MOST_BUNDLE)).decode(), "validateOnly": dry_run}
    with Api(context()) as api:
        answer = api.post("/v1/billing/billingAccounts:import", wish, once=new_request_id())
    show(output, answer["response"], COLUMNS)
