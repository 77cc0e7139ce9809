"""`catalyst catalog plan …`: sizes that are sold, with their prices and limits."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from catalyst_cli.commands.billing import words
from catalyst_cli.output import Form, Output, show

from . import offers

COLUMNS = {
    "NAME": "name", "TITLE": "title", "PRICE": "price", "CPU MILLI": "cpu", "RAM MB": "ram", "DISK GB": "disk",
    "POPULAR": "popular", "RETIRED": "retired",
}  # fmt: skip
LIMITS = {"cpu": "cpuMilli", "ram": "ramMb", "disk": "diskGb"}


class Dimension(StrEnum):
    """What a plan limits."""

    CPU = "cpu"
    RAM = "ram"
    DISK = "disk"


Name = Annotated[str, typer.Argument(help="The plan, such as m; plans/ may be left out.")]
Cpu = Annotated[int | None, typer.Option(help="Limit in thousandths of a core, 2000 for two cores.", min=0)]
Ram = Annotated[int | None, typer.Option(help="Limit in MB.", min=0)]
Disk = Annotated[int | None, typer.Option(help="Limit in GB.", min=0)]
Feature = Annotated[list[str] | None, typer.Option(help="Slug of what it includes; repeat it, in order.")]
NextPlan = Annotated[str | None, typer.Option(help="Plan to move up to; empty: none.")]
Popular = Annotated[bool | None, typer.Option("--popular/--not-popular", help="The badge.", show_default=False)]
Metered = Annotated[
    bool | None, typer.Option("--metered/--flat", help="Whether usage is billed by rates.", show_default=False)
]
UsersHint = Annotated[int | None, typer.Option(help="People it suits, a hint; 0: none.", min=0)]
Unlimited = Annotated[list[Dimension] | None, typer.Option(help="Take the limit of cpu, ram or disk away; repeat it.")]


def list_plans(retired: offers.NotSold = False, output: Output = Form.TABLE) -> None:
    """List what is sold, in the order of the shop.

    Examples:

        catalyst catalog plan list

        catalyst catalog plan list --retired --output json
    """
    rows = offers.listed("plans", "plans", retired=retired)
    show(output, {"plans": rows}, COLUMNS, [_row(row) for row in rows])


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show a plan, sold or not.

    Examples:

        catalyst catalog plan get m --output yaml
    """
    _show(output, offers.got(words.full("plans", name)))


def create(
    slug: offers.Slug,
    title: Annotated[str, typer.Option(help="Title.")],
    price: offers.NewPrice,
    cpu: Cpu = None,
    ram: Ram = None,
    disk: Disk = None,
    metered: Metered = None,
    popular: Popular = None,
    feature: Feature = None,
    next_plan: NextPlan = None,
    users_hint: UsersHint = None,
    sort: offers.Sort = None,
    description: offers.Description = None,
    validate_only: offers.ValidateOnly = False,
    request_id: words.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Sell a new plan. A limit that is not named is none. Its price stands in the next price book at once.

    Examples:

        catalyst catalog plan create team --title Team --price "14.500 OMR" --cpu 3000 --ram 6144 --disk 40

        catalyst catalog plan create team --title Team --price "14.500 OMR" --validate-only -o json
    """
    wish = _wish(
        title=title, price=price, metered=metered, popular=popular, features=feature, next_plan=next_plan,
        users_hint=users_hint, sort=sort, description=description,
    )  # fmt: skip
    if limits := _limits(cpu, ram, disk):
        wish["limits"] = limits
    _show(output, offers.made("plans", "planId", slug, wish, request_id, validate_only=validate_only))


def update(
    name: Name,
    title: offers.Title = None,
    price: offers.Price = None,
    cpu: Cpu = None,
    ram: Ram = None,
    disk: Disk = None,
    unlimited: Unlimited = None,
    metered: Metered = None,
    popular: Popular = None,
    feature: Feature = None,
    next_plan: NextPlan = None,
    users_hint: UsersHint = None,
    sort: offers.Sort = None,
    description: offers.Description = None,
    retired: offers.Retired = None,
    etag: offers.Etag = "",
    validate_only: offers.ValidateOnly = False,
    output: Output = Form.TABLE,
) -> None:
    """Change what is named of a plan, and nothing else. Quotes that stand keep the price they were made by.

    Examples:

        catalyst catalog plan update m --ram 8192

        catalyst catalog plan update m --price "12.000 OMR" --popular --validate-only

        catalyst catalog plan update m --retired
    """
    wish = _wish(
        title=title, price=price, metered=metered, popular=popular, features=feature, next_plan=next_plan,
        users_hint=users_hint, sort=sort, description=description, retired=retired,
    )  # fmt: skip
    mask, limits = list(wish), _limits(cpu, ram, disk)
    open_ends = [LIMITS[one] for one in unlimited or ()]
    offers.exclusive("a dimension has a limit or none", both=bool(set(limits).intersection(open_ends)))
    mask += [f"limits.{one}" for one in dict.fromkeys([*limits, *open_ends])]
    wish |= {"limits": limits} if limits else {}
    full = words.full("plans", name)
    _show(output, offers.changed(full, wish, mask, etag, validate_only=validate_only))


def delete(
    name: Name,
    etag: offers.Etag = "",
    yes: words.Yes = False,
    validate_only: offers.ValidateOnly = False,
    output: Output = Form.NAME,
) -> None:
    """Take a plan away that nothing names; one that people have is retired instead (`update --retired`).

    Examples:

        catalyst catalog plan delete team --yes

        catalyst catalog plan delete team --validate-only
    """
    offers.gone(words.full("plans", name), etag, output, yes=yes, validate_only=validate_only)


def _wish(*, next_plan: str | None, users_hint: int | None, **given: Any) -> dict[str, Any]:
    above = words.full("plans", next_plan) if next_plan else next_plan
    return offers.common(**given, nextPlan=above, usersHintMax=users_hint)


def _limits(cpu: int | None, ram: int | None, disk: int | None) -> dict[str, int]:
    """The limits that were named, as the API calls them."""
    given = {"cpu": cpu, "ram": ram, "disk": disk}
    return {LIMITS[name]: limit for name, limit in given.items() if limit is not None}


def _row(plan: dict[str, Any]) -> dict[str, Any]:
    limits = plan.get("limits") or {}
    return {**offers.row(plan), **{name: limits.get(field, "metered") for name, field in LIMITS.items()}}


def _show(output: Form, plan: dict[str, Any]) -> None:
    show(output, plan, COLUMNS, [_row(plan)])
