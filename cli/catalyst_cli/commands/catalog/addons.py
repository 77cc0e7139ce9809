"""`catalyst catalog addon …`: what is sold beside a plan."""

import json
from typing import Annotated, Any

import typer

from catalyst_cli.commands.billing import words
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, Output, show

from . import offers
from .names import blueprint

COLUMNS = {
    "NAME": "name", "TITLE": "title", "CATEGORY": "category", "PRICE": "price", "INCLUDED": "included",
    "BLUEPRINT": "blueprint", "RETIRED": "retired",
}  # fmt: skip
Name = Annotated[str, typer.Argument(help="The add-on, such as backup; addOns/ may be left out.")]
Category = Annotated[str | None, typer.Option(help="Slug of its category.")]
Included = Annotated[
    bool | None, typer.Option("--included/--extra", help="Part of every plan at 0, or paid.", show_default=False)
]
Installs = Annotated[str | None, typer.Option("--blueprint", help="Blueprint that it installs; empty: none.")]
Attributes = Annotated[
    str | None, typer.Option(help="""Facts that others read, all of them, as JSON: '{"retention_days": 7}'.""")
]


def list_add_ons(retired: offers.NotSold = False, output: Output = Form.TABLE) -> None:
    """List what is sold beside plans, in the order of the shop.

    Examples:

        catalyst catalog addon list

        catalyst catalog addon list --retired --output json
    """
    rows = offers.listed("addOns", "addOns", retired=retired)
    show(output, {"addOns": rows}, COLUMNS, [offers.row(row) for row in rows])


def get(name: Name, output: Output = Form.TABLE) -> None:
    """Show an add-on, sold or not.

    Examples:

        catalyst catalog addon get backup --output yaml
    """
    _show(output, offers.got(words.full("addOns", name)))


def create(
    slug: offers.Slug,
    title: Annotated[str, typer.Option(help="Title.")],
    price: offers.NewPrice,
    category: Category = None,
    included: Included = None,
    installs: Installs = None,
    attributes: Attributes = None,
    sort: offers.Sort = None,
    description: offers.Description = None,
    validate_only: offers.ValidateOnly = False,
    request_id: words.RequestId = "",
    output: Output = Form.TABLE,
) -> None:
    """Sell a new add-on. Its price stands in the next price book at once.

    Examples:

        catalyst catalog addon create archive --title Archive --price "3.000 OMR" --attributes '{"retention_days": 3650}'

        catalyst catalog addon create archive --title Archive --price "3.000 OMR" --validate-only -o json
    """
    wish = _wish(
        installs, attributes, title=title, price=price, category=category, included=included, sort=sort,
        description=description,
    )  # fmt: skip
    _show(output, offers.made("addOns", "addOnId", slug, wish, request_id, validate_only=validate_only))


def update(
    name: Name,
    title: offers.Title = None,
    price: offers.Price = None,
    category: Category = None,
    included: Included = None,
    installs: Installs = None,
    attributes: Attributes = None,
    sort: offers.Sort = None,
    description: offers.Description = None,
    retired: offers.Retired = None,
    etag: offers.Etag = "",
    validate_only: offers.ValidateOnly = False,
    output: Output = Form.TABLE,
) -> None:
    """Change what is named of an add-on, and nothing else. Quotes that stand keep the price they were made by.

    Examples:

        catalyst catalog addon update backup --price "2.500 OMR"

        catalyst catalog addon update backup --retired --validate-only
    """
    wish = _wish(
        installs, attributes, title=title, price=price, category=category, included=included, sort=sort,
        description=description, retired=retired,
    )  # fmt: skip
    full = words.full("addOns", name)
    _show(output, offers.changed(full, wish, list(wish), etag, validate_only=validate_only))


def delete(
    name: Name,
    etag: offers.Etag = "",
    yes: words.Yes = False,
    validate_only: offers.ValidateOnly = False,
    output: Output = Form.NAME,
) -> None:
    """Take an add-on away that nothing names; one that people have is retired instead (`update --retired`).

    Examples:

        catalyst catalog addon delete archive --yes
    """
    offers.gone(words.full("addOns", name), etag, output, yes=yes, validate_only=validate_only)


def _wish(installs: str | None, attributes: str | None, **given: Any) -> dict[str, Any]:
    facts = None if attributes is None else _facts(attributes)
    return offers.common(**given, blueprint=blueprint(installs) if installs else installs, attributes=facts)


def _facts(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        code = EXIT_CODES["INVALID_ARGUMENT"]
        raise Failure("--attributes is no JSON", why=str(error), exit_code=code) from error
    if not isinstance(found, dict):
        raise Failure("--attributes is no JSON object", exit_code=EXIT_CODES["INVALID_ARGUMENT"])
    return found


def _show(output: Form, add_on: dict[str, Any]) -> None:
    show(output, add_on, COLUMNS, [offers.row(add_on)])
