"""Names, amounts and moments as people type them on the command line."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.failures import Failure
from catalyst_cli.output import money

EXPONENTS = {"OMR": 3, "BHD": 3, "KWD": 3, "JPY": 0}
Org = Annotated[str, typer.Option(help="Slug of the Organization.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Make every check, change nothing.")]
RequestId = Annotated[str, typer.Option(help="UUID4; repeating it has one effect.")]


def account(org: str) -> str:
    """`billingAccounts/acme` of `acme`, `organizations/acme` or itself."""
    return f"billingAccounts/{org.rsplit('/', 1)[-1]}"


def full(kind: str, name: str) -> str:
    """`vouchers/v-1` of `v-1` or itself."""
    return name if name.startswith(f"{kind}/") else f"{kind}/{name}"


def amount(text: str) -> dict[str, str]:
    """`9.500 OMR` as the API has it. Raises Failure."""
    found = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]+))? ?([A-Z]{3})", text.strip())
    if found is None:
        raise Failure(f"{text!r} is no amount", next_step='write it as "9.500 OMR"', exit_code=2)
    whole, decimals, currency = found[1], found[2] or "", found[3]
    places = EXPONENTS.get(currency, 2)
    if len(decimals) > places:
        raise Failure(f"{text!r} has more than {places} decimals", next_step='write it as "9.500 OMR"', exit_code=2)
    return {"minor": str(int(whole) * 10**places + int(decimals.ljust(places, "0") or 0)), "currency": currency}


def moment(text: str) -> str:
    """A day or a moment, as the API has it. Raises Failure."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Failure(
            f"{text!r} is no moment", next_step="write it as 2026-12-31 or 2026-12-31T12:00:00Z", exit_code=2
        ) from error
    return f"{at.isoformat()}Z" if at.tzinfo is None else at.isoformat()


def lifetime(text: str) -> str:
    """`30d`, `12h` or `45m` as the API has it. Raises Failure."""
    found = re.fullmatch(r"([0-9]{1,6})([dhm])", text)
    if found is None:
        raise Failure(f"{text!r} is no lifetime", next_step="write it as 30d, 12h or 45m", exit_code=2)
    unit = {"d": timedelta(days=1), "h": timedelta(hours=1), "m": timedelta(minutes=1)}[found[2]]
    return f"{int(found[1]) * int(unit.total_seconds())}s"


def voucher_of(api: Api, given: str) -> str:
    """Name of a voucher by its name, id or code. Raises Failure."""
    if re.fullmatch(r"(vouchers/)?v-[0-9a-f]{32}", given):
        return full("vouchers", given)
    typed = given.strip().upper()
    for row in api.pages("/v1/billing/vouchers", "vouchers", showRevoked="true"):
        if row["code"] == typed:
            return str(row["name"])
    raise Failure(f"no voucher has the code {typed}", next_step="catalyst billing voucher list", exit_code=3)


def shown(row: dict[str, Any], *fields: str) -> dict[str, Any]:
    """A row with its amounts as text, for a table."""
    return {**row, **{field: money(row[field]) for field in fields if row.get(field)}}
