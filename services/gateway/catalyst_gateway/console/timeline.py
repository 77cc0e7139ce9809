"""One line of everything that happened, newest first; by resource, so that a state leads to why it is so."""

from collections.abc import Mapping
from typing import Any

from catalyst_mesh import Caller
from catalyst_mesh.readers import Reader

from . import words
from .visits import Shown, Visit, page

MOST = 100
"""Events on one page."""
_LOOK = 400
"""Events that are read at once, of which some are not this person's to see."""


@page("/console/timeline")
async def timeline(at: Visit) -> Shown:
    """What happened; with `about` to one resource and what lies below it."""
    about, kind = at.query.get("about", ""), at.query.get("kind", "")
    before = int(at.query["before"]) if at.query.get("before", "").isdigit() else None
    reader = Reader.of(Caller(at.person.subject, roles=at.person.roles, groups=at.person.groups))
    async with at.work.reading() as tx:
        read = await tx.before(before, f"catalyst.v1.{kind}." if kind else "", _LOOK, about=about)
    rows = [one for one in read if reader.may_hear(one["subject"], one["organization"])]
    shown = rows[:MOST]
    last = shown[-1] if len(rows) > MOST else read[-1] if len(read) == _LOOK else None
    older = last["number"] if last else None
    told = [{**one, "says": says(one)} for one in shown]
    return at.show("timeline.html", title="Timeline", rows=told, older=older, about=about, kind=kind)


def says(event: Mapping[str, Any]) -> str:
    """What an event tells beside its name: of which part of the thing it speaks, the state that it came to, and its sentence."""
    body, kind = event["body"], event["subject"].split(".")[3:4]
    # A fact about a version has its number under `version`, where others have how often the thing changed.
    parts = [body.get(name, "") for name in dict.fromkeys([*kind, "step"]) if name != "version"]
    named = [words.leaf(part) for part in parts if isinstance(part, str) and part != event["aggregate"]]
    told = body.get("message") or body.get("reason") or words.word(body.get("state"))
    return ": ".join(filter(None, [*named, str(told)]))


PAGES = (timeline,)
