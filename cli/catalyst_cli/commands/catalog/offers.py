"""What plans and add-ons have in common on the command line: how one is listed, made, changed and taken away."""

from typing import Annotated, Any

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.billing import words
from catalyst_cli.confirm import confirm
from catalyst_cli.context import context
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import Form, money, show

Slug = Annotated[str, typer.Argument(help="Slug of the new row, such as team. It never changes.")]
NewPrice = Annotated[str, typer.Option(help='Price of a month, such as "9.000 OMR".')]
Price = Annotated[
    str | None, typer.Option(help='Another price of a month, such as "9.000 OMR"; the next price book has it.')
]
Title = Annotated[str | None, typer.Option(help="Title.")]
Description = Annotated[str | None, typer.Option(help="Plain text.")]
Sort = Annotated[int | None, typer.Option(help="Place in lists.", min=0)]
NotSold = Annotated[bool, typer.Option("--retired", help="Also what is no longer sold.")]
Retired = Annotated[
    bool | None,
    typer.Option("--retired/--sold", help="No longer sold, what runs stays; or sold again.", show_default=False),
]
Etag = Annotated[str, typer.Option(help="Only as it was read: the etag that `get -o json` showed, quotes included.")]
ValidateOnly = Annotated[
    bool, typer.Option("--validate-only", "--dry-run", help="Make every check and show the answer, store nothing.")
]


def listed(path: str, field: str, *, retired: bool) -> list[dict[str, Any]]:
    """All rows that are sold, or with `retired` all that there are."""
    with Api(context()) as api:
        return api.pages(f"/v1/catalog/{path}", field, **({"showRetired": "true"} if retired else {}))


def got(name: str) -> dict[str, Any]:
    """One row, sold or not. Raises Refused."""
    with Api(context()) as api:
        return api.get(f"/v1/catalog/{name}")


def made(
    path: str, key: str, slug: str, wish: dict[str, Any], request_id: str, *, validate_only: bool
) -> dict[str, Any]:
    """A new row; the same request id again gives the first answer again. Raises Refused."""
    query = {key: slug, "requestId": request_id or new_request_id(), "validateOnly": str(validate_only).lower()}
    with Api(context()) as api:
        return api.post_resource(f"/v1/catalog/{path}", wish, **query)


def changed(name: str, wish: dict[str, Any], mask: list[str], etag: str, *, validate_only: bool) -> dict[str, Any]:
    """A row with the fields of `mask` replaced and all others as they are. Raises Refused, Failure.

    etag    empty: as it stands; otherwise it is refused if somebody changed it meanwhile
    """
    if not mask:
        raise Failure("nothing is to be changed", next_step="name what: --help lists it", exit_code=2)
    path, query = f"/v1/catalog/{name}", {"validateOnly": str(validate_only).lower()}
    with Api(context()) as api:
        if not etag:
            return api.change(path, wish, mask, **query)
        once = {"etag": etag, "requestId": new_request_id(), "updateMask": ",".join(mask)}
        return api.patch(path, wish, query=once | query)


def gone(name: str, etag: str, output: Form, *, yes: bool, validate_only: bool) -> None:
    """Take a row away; one that another names is refused with who names it. Raises Refused."""
    path, query = f"/v1/catalog/{name}", {"validateOnly": "true"} if validate_only else {}
    with Api(context()) as api:
        if not validate_only:
            confirm(f"take {name} away?", yes=yes)
        if etag:
            api.delete(path, etag=etag, requestId=new_request_id(), **query)
        else:
            api.remove(path, **query)
    show(output, {"name": name}, {"NAME": "name"})


def common(**given: Any) -> dict[str, Any]:
    """What of the fields was named. One that was named empty is emptied; a price is read as people write it."""
    named = {field: value for field, value in given.items() if value is not None}
    return named | ({"price": words.amount(named["price"])} if "price" in named else {})


def row(offer: dict[str, Any]) -> dict[str, Any]:
    """A row as a table shows it."""
    return {**offer, "price": money(offer.get("price"))}


def exclusive(text: str, *, both: bool) -> None:
    """Raises Failure where two options contradict each other."""
    if both:
        raise Failure(text, exit_code=EXIT_CODES["INVALID_ARGUMENT"])
