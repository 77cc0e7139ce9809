"""Plans and add-ons, for those who decide what is sold: made, changed, retired, taken away.

What a change does to the book of prices the catalogue decides; where one is priced anew it says so as the next book.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import Code, Refused

from . import words
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_HOME = "/console/admin/selling"
_ONE = _HOME + "/{kind:str}/{slug:str}"
_LIMITS = {"cpu_milli": "cpuMilli", "ram_mb": "ramMb", "disk_gb": "diskGb"}
"""Limits of a plan by the contract's name, and by that of JSON."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of thing that is sold: its collection, its field in a request, its name for people, whether it has limits."""

    collection: str
    field: str
    title: str
    id: str
    is_limited: bool = False


KINDS: Mapping[str, Kind] = {
    "plans": Kind("plans", "plan", "Plan", "planId", is_limited=True),
    "addOns": Kind("addOns", "add_on", "Add-on", "addOnId"),
}


class NoSuchKind(Refused):
    code, reason, message = Code.NOT_FOUND, "PATH_NOT_FOUND", "nothing is sold as {kind}"


@page(_HOME)
async def selling(at: Visit) -> Shown:
    """All plans and add-ons, retired ones too, and a form for one more."""
    return await _selling(at)


async def _selling(at: Visit, faults: Faults = NONE) -> Shown:
    plans, add_ons = await together(
        at.api.all("/v1/catalog/plans", "plans"), at.api.all("/v1/catalog/addOns", "addOns")
    )
    rows = [*((KINDS["plans"], one) for one in plans), *((KINDS["addOns"], one) for one in add_ons)]
    currency = next((one["price"]["currency"] for _, one in rows if one.get("price")), "OMR")
    return at.show(
        "selling.html",
        title="What is sold",
        tab="selling",
        rows=rows,
        kinds=[(kind.collection, kind.title) for kind in KINDS.values()],
        currency=currency,
        given={"price.currency": currency, **at.form},
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action(_HOME)
async def make(at: Visit) -> Shown:
    """Sell one more."""
    kind, slug = _kind(at.form.get("kind", "")), at.form.get("slug", "").strip()
    try:
        wish = _wish(at.form, kind)
        await at.api.send("POST", f"/v1/catalog/{kind.collection}", wish, **{kind.id: slug})
    except REFUSALS as refused:
        return await _selling(at, _faults(refused, kind))
    return at.go(f"{_HOME}/{kind.collection}/{slug}")


@page(_ONE)
async def one(at: Visit) -> Shown:
    """One of them, with a form of what can be changed."""
    return await _show(at)


async def _show(at: Visit, faults: Faults = NONE) -> Shown:
    kind = _kind(at.names["kind"])
    held = await at.api.get(f"/v1/catalog/{_name(at, kind)}")
    return at.show(
        "sold.html",
        title=held["title"] or at.names["slug"],
        tab="selling",
        kind=kind,
        one=held,
        given=at.form if faults else _form(held),
        etag=held["etag"],
        faults=faults,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action(_ONE)
async def change(at: Visit) -> Shown:
    """What stands in the form becomes so, if nobody changed it since it was looked at; the rest of it stays."""
    kind = _kind(at.names["kind"])
    try:
        wish = _wish(at.form, kind)
        await at.api.send(
            "PATCH", f"/v1/catalog/{_name(at, kind)}", wish, etag=at.form.get("etag", ""), updateMask=",".join(wish)
        )
    except REFUSALS as refused:
        return await _show(at, _faults(refused, kind))
    return at.go(f"{_HOME}/{kind.collection}/{at.names['slug']}")


@action(_ONE + "/delete")
async def delete(at: Visit) -> Shown:
    """Take one away that nothing names; what people have is retired instead, the catalogue says."""
    kind = _kind(at.names["kind"])
    try:
        await at.api.send("DELETE", f"/v1/catalog/{_name(at, kind)}", etag=at.form.get("etag", ""))
    except REFUSALS as refused:
        return await _show(at, _faults(refused, kind))
    return at.go(_HOME)


def _kind(word: str) -> Kind:
    if word not in KINDS:
        raise NoSuchKind(kind=word)
    return KINDS[word]


def _name(at: Visit, kind: Kind) -> str:
    return f"{kind.collection}/{at.names['slug']}"


def _wish(form: Mapping[str, str], kind: Kind) -> dict[str, Any]:
    """The resource that a form means. An empty limit is none: the dimension is metered."""
    price = {"minor": form.get("price.minor", "").strip() or "0", "currency": form.get("price.currency", "").strip()}
    wish: dict[str, Any] = {
        "title": form.get("title", "").strip(),
        "description": form.get("description", "").strip(),
        "retired": bool(form.get("retired")),
    }
    if price["currency"]:  # what is in every plan has no price
        wish["price"] = price
    if kind.is_limited:
        limits = {told: form.get(f"limits.{name}", "").strip() for name, told in _LIMITS.items()}
        wish["limits"] = {told: value for told, value in limits.items() if value}
        wish["popular"] = bool(form.get("popular"))
    return wish


def _form(held: Answer) -> dict[str, str]:
    """The fields of the form, as the resource is now."""
    price, limits = held.get("price") or {}, held.get("limits") or {}
    return {
        "title": held["title"],
        "description": held.get("description", ""),
        "price.minor": str(price.get("minor", "")),
        "price.currency": price.get("currency", ""),
        "retired": "true" if held.get("retired") else "",
        "popular": "true" if held.get("popular") else "",
        **{f"limits.{name}": words.bare(str(limits.get(told, ""))) for name, told in _LIMITS.items()},
    }


def _faults(refused: Exception, kind: Kind) -> Faults:
    return Faults.of(refused, under=(f"{kind.field}.",))


PAGES = (selling, make, one, change, delete)
