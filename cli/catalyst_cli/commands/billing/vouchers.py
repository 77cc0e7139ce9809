"""`catalyst billing voucher` and `campaign`: codes that stand for credit or a discount."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.output import Form, Output, money, show

from . import words

Given = Annotated[str, typer.Argument(help="Code, id or name of the voucher.")]
MaxTotal = Annotated[int | None, typer.Option(help="Uses by everybody.")]
MaxPerOrg = Annotated[int | None, typer.Option(help="Uses by one Organization; default 1.")]
Budget = Annotated[str, typer.Option(help='Ceiling of what is used, such as "500.000 OMR".')]
Campaign = Annotated[str, typer.Option(help="Campaign whose budget it draws on.")]
Starts = Annotated[str, typer.Option(help="First moment of use.")]
Ends = Annotated[str, typer.Option(help="First moment at which it can no longer be used.")]
Description = Annotated[str | None, typer.Option(help="Sentence that customers read.")]
COLUMNS = {
    "VOUCHER": "name",
    "CODE": "code",
    "STATE": "state",
    "WORTH": "worth",
    "USED": "usedCount",
    "CAP": "maxTotal",
}
USES = {"USE": "name", "STATE": "state", "ACCOUNT": "account", "VALUE": "value", "ORDER": "order", "AT": "createTime"}
REVISIONS = {"REVISION": "revision", "WORTH": "worth", "CAP": "maxTotal", "ENDS": "endTime", "BY": "issuedBy"}
CAMPAIGNS = {"CAMPAIGN": "name", "TITLE": "displayName", "BUDGET": "budget", "USED": "used"}


def create(
    amount: Annotated[str, typer.Option(help='Flat credit, such as "50.000 OMR".')] = "",
    percent: Annotated[int, typer.Option(help="Percent off instead of credit.")] = 0,
    periods: Annotated[int, typer.Option(help="Billing periods of the discount.")] = 1,
    code: Annotated[str, typer.Option(help="What people type; default: a generated one.")] = "",
    max_total: MaxTotal = None,
    max_per_org: MaxPerOrg = None,
    budget: Budget = "",
    campaign: Campaign = "",
    starts: Starts = "",
    ends: Ends = "",
    grant_ttl: Annotated[str, typer.Option(help="Lifetime of the credit it makes, such as 90d.")] = "",
    description: Description = None,
    activate: Annotated[bool, typer.Option("--activate", help="Can be used at once.")] = False,
    dry_run: words.DryRun = False,
    request_id: words.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Issue a voucher, as a draft or active.

    Examples:

        catalyst billing voucher create --amount "50.000 OMR" --code OMANI-26 --max-total 100 --activate

        catalyst billing voucher create --percent 20 --periods 3 --ends 2026-12-31 --campaign c-1
    """
    wish = _terms(max_total, max_per_org, budget, campaign, starts, ends, description)
    wish |= {"amount": words.amount(amount)} if amount else {}
    wish |= {"percentOff": {"percent": percent, "periods": periods}} if percent else {}
    wish |= {"code": code} if code else {}
    wish |= {"grantTtl": words.lifetime(grant_ttl)} if grant_ttl else {}
    query = {
        "activate": str(activate).lower(), "validateOnly": str(dry_run).lower(),
        "requestId": request_id or new_request_id(),
    }  # fmt: skip
    with Api(context()) as api:
        _show(output, api.post("/v1/billing/vouchers", wish, query=query))


def list_vouchers(
    campaign: Campaign = "",
    revoked: Annotated[bool, typer.Option("--revoked", help="Revoked ones too.")] = False,
    output: Output = Form.TABLE,
) -> None:
    """List vouchers, newest first.

    Examples:

        catalyst billing voucher list

        catalyst billing voucher list --campaign c-1 --revoked -o json
    """
    with Api(context()) as api:
        rows = api.pages(
            "/v1/billing/vouchers", "vouchers", showRevoked=str(revoked).lower(),
            campaign=words.full("campaigns", campaign) if campaign else "",
        )  # fmt: skip
    show(output, {"vouchers": rows}, COLUMNS, [_row(row) for row in rows])


def get(voucher: Given, output: Output = Form.TABLE) -> None:
    """Show a voucher with its counters.

    Examples:

        catalyst billing voucher get OMANI-26
    """
    with Api(context()) as api:
        _show(output, api.get(f"/v1/billing/{words.voucher_of(api, voucher)}"))


def update(
    voucher: Given,
    max_total: MaxTotal = None,
    max_per_org: MaxPerOrg = None,
    budget: Budget = "",
    campaign: Campaign = "",
    starts: Starts = "",
    ends: Ends = "",
    description: Description = None,
    dry_run: words.DryRun = False,
    output: Output = Form.TABLE,
) -> None:
    """Make a new revision of a voucher; what is not named stays. Reservations keep the terms they were made under.

    Examples:

        catalyst billing voucher update OMANI-26 --max-total 200 --ends 2027-01-31
    """
    wish = _terms(max_total, max_per_org, budget, campaign, starts, ends, description)
    with Api(context()) as api:
        name = words.voucher_of(api, voucher)
        _show(output, api.change(f"/v1/billing/{name}", wish, wish, validateOnly=str(dry_run).lower()))


def activate(voucher: Given, output: Output = Form.TABLE) -> None:
    """Let a draft or paused voucher be used.

    Examples:

        catalyst billing voucher activate OMANI-26
    """
    _move(voucher, "activate", {}, output)


def pause(voucher: Given, output: Output = Form.TABLE) -> None:
    """Switch a voucher off for a while; reservations stand.

    Examples:

        catalyst billing voucher pause OMANI-26
    """
    _move(voucher, "pause", {}, output)


def revoke(
    voucher: Given,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    yes: words.Yes = False,
    output: Output = Form.TABLE,
) -> None:
    """Withdraw a voucher for good. Its code is never given again.

    Examples:

        catalyst billing voucher revoke OMANI-26 --reason leaked --yes
    """
    confirm(f"Revoke {voucher} for good?", yes=yes)
    _move(voucher, "revoke", {"reason": reason}, output)


def uses(voucher: Given, output: Output = Form.TABLE) -> None:
    """List reservations and redemptions of a voucher.

    Examples:

        catalyst billing voucher uses OMANI-26
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/billing/{words.voucher_of(api, voucher)}/uses", "uses")
    show(output, {"uses": rows}, USES, [words.shown(row, "value") for row in rows])


def revisions(voucher: Given, output: Output = Form.TABLE) -> None:
    """List what a voucher was after each edit.

    Examples:

        catalyst billing voucher revisions OMANI-26
    """
    with Api(context()) as api:
        rows = api.pages(f"/v1/billing/{words.voucher_of(api, voucher)}/revisions", "revisions")
    show(output, {"revisions": rows}, REVISIONS, [_row(row) for row in rows])


def create_campaign(
    title: Annotated[str, typer.Argument(help="Title for admins.")],
    budget: Budget = "",
    request_id: words.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Make a campaign: vouchers with one purpose and one budget.

    Examples:

        catalyst billing campaign create "Spring" --budget "500.000 OMR"
    """
    wish: dict[str, Any] = {"displayName": title, **({"budget": words.amount(budget)} if budget else {})}
    with Api(context()) as api:
        answer = api.post("/v1/billing/campaigns", wish, query={"requestId": request_id or new_request_id()})
    show(output, answer, CAMPAIGNS, [words.shown(answer, "budget", "used")])


def list_campaigns(output: Output = Form.TABLE) -> None:
    """List campaigns with what is used of each.

    Examples:

        catalyst billing campaign list
    """
    with Api(context()) as api:
        rows = api.pages("/v1/billing/campaigns", "campaigns")
    show(output, {"campaigns": rows}, CAMPAIGNS, [words.shown(row, "budget", "used") for row in rows])


def update_campaign(
    campaign: Annotated[str, typer.Argument(help="Campaign; campaigns/ may be left out.")],
    title: Annotated[str, typer.Option(help="Another title.")] = "",
    budget: Budget = "",
    output: Output = Form.TABLE,
) -> None:
    """Change title or budget of a campaign.

    Examples:

        catalyst billing campaign update c-1 --budget "900.000 OMR"
    """
    wish: dict[str, Any] = {"displayName": title} if title else {}
    wish |= {"budget": words.amount(budget)} if budget else {}
    name = words.full("campaigns", campaign)
    with Api(context()) as api:
        answer = api.change(f"/v1/billing/{name}", wish, wish)
    show(output, answer, CAMPAIGNS, [words.shown(answer, "budget", "used")])


def _move(voucher: str, verb: str, body: dict[str, Any], output: Form) -> None:
    with Api(context()) as api:
        name = words.voucher_of(api, voucher)
        _show(output, api.post(f"/v1/billing/{name}:{verb}", body, once=new_request_id()))


def _terms(
    max_total: int | None, max_per_org: int | None, budget: str, campaign: str, starts: str, ends: str,
    description: str | None,
) -> dict[str, Any]:  # fmt: skip
    found = {
        "maxTotal": max_total, "maxPerOrg": max_per_org, "budget": words.amount(budget) if budget else None,
        "campaign": words.full("campaigns", campaign) if campaign else None,
        "startTime": words.moment(starts) if starts else None, "endTime": words.moment(ends) if ends else None,
        "description": description,
    }  # fmt: skip
    return {field: value for field, value in found.items() if value is not None}


def _row(voucher: dict[str, Any]) -> dict[str, Any]:
    off = voucher.get("percentOff")
    worth = f"{off['percent']} % for {off['periods']}" if off else money(voucher.get("amount"))
    return {**voucher, "worth": worth}


def _show(output: Form, answer: dict[str, Any]) -> None:
    show(output, answer, COLUMNS, [_row(answer)])
