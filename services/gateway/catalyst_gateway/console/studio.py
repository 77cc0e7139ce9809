"""The studio of one Blueprint, for those who keep it: its versions side by side, and what people decide of each.

A version is written at the desk (`writing.py`) and published by its source; what was taken in from there is decided here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst_sdk import Code, Refused

from . import words
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .people import Person
from .visits import Shown, Visit, action, page

_STUDIO = "/console/marketplace/{blueprint:str}/studio"
_KEEPERS, _OFFICERS = ("sovereign-admin",), ("security-officer",)
_MOVES: Mapping[str, Sequence[tuple[str, str, Sequence[str]]]] = {
    "VERIFIED": (("deprecate", "Deprecate", _KEEPERS), ("yank", "Withdraw", _KEEPERS), ("quarantine", "Quarantine", _OFFICERS)),
    "DEPRECATED": (("undeprecate", "Take the deprecation back", _KEEPERS), ("yank", "Withdraw", _KEEPERS),
                   ("quarantine", "Quarantine", _OFFICERS)),
    "YANKED": (("unyank", "Take the withdrawal back", _KEEPERS), ("quarantine", "Quarantine", _OFFICERS)),
    "QUARANTINED": (("release", "Lift the quarantine", _OFFICERS),),
}  # fmt: skip
"""By the state of a version what can be done with it, in words, and by whom; the catalogue decides."""


class NoSuchMove(Refused):
    code, reason, message = Code.NOT_FOUND, "MOVE_NOT_FOUND", "a version cannot be moved by {verb}"


def moves(state: str, person: Person) -> list[tuple[str, str]]:
    """What is worth showing to somebody: the verb, and what the button says."""
    return [(verb, text) for verb, text, roles in _MOVES.get(words.bare(state), ()) if person.has_any(roles)]


@page(_STUDIO)
async def studio(at: Visit) -> Shown:
    """Versions, and how two of them differ: those that were chosen, or else the two newest."""
    return await _studio(at)


async def _studio(at: Visit, faults: Faults = NONE) -> Shown:
    name = f"blueprints/{at.names['blueprint']}"
    one, versions = await together(
        at.api.get(f"/v1/catalog/{name}"), at.api.all(f"/v1/catalog/{name}/versions", "versions")
    )
    newest = [row["semver"] for row in versions]
    to = at.query.get("to") or next(iter(newest), "")
    start = at.query.get("from") or next((semver for semver in newest if semver != to), "")
    return at.show(
        "studio.html",
        title=f"Studio: {one['title']}",
        one=one,
        versions=[(row, moves(row["state"], at.person)) for row in versions],
        choices=[(semver, semver) for semver in newest],
        start=start,
        to=to,
        difference=await _difference(at, name, start, to),
        faults=faults,
        given=at.form,
        status=422 if faults else 200,
    )  # fmt: skip - one call


async def _difference(at: Visit, name: str, start: str, to: str) -> Answer | None:
    """How two versions differ; None where there are not two."""
    if not start or not to or start == to:
        return None
    return await at.api.get(f"/v1/catalog/{name}:compare", fromVersion=start, toVersion=to)


@action(_STUDIO + "/{version:str}/{verb:str}")
async def decide(at: Visit) -> Shown:
    """Move a version, with a reason that everybody reads who meets it. Raises NoSuchMove."""
    verb = at.names["verb"]
    known = {verb for rows in _MOVES.values() for verb, _, _ in rows}
    if verb not in known:
        raise NoSuchMove(verb=verb)
    name = f"blueprints/{at.names['blueprint']}/versions/{at.names['version']}"
    wish: dict[str, Any] = {"reason": at.form.get("reason", "")}
    if verb == "undeprecate":
        verb, wish = "deprecate", {**wish, "undo": True}
    elif verb == "deprecate" and (replacement := at.form.get("replacement", "").strip()):
        wish["replacement"] = replacement
    try:
        held = await at.api.get(f"/v1/catalog/{name}")
        await at.api.send("POST", f"/v1/catalog/{name}:{verb}", wish, etag=held["etag"])
    except REFUSALS as refused:
        return await _studio(at, Faults.of(refused))
    return at.go(f"/console/marketplace/{at.names['blueprint']}/studio")


PAGES = (studio, decide)
