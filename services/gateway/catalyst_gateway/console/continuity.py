"""Which region may write: who holds each slot, how long still, and moves that are rehearsed before anybody can start them."""

from collections.abc import Mapping
from typing import Any

from . import words
from .asking import Answer, together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_SLOT = "/console/namespaces/{namespace:str}/continuums/{slot:str}"
_RUN = _SLOT + "/runs/{run:str}"
MOVES: Mapping[str, str] = {
    "SWITCHOVER": "Planned move",
    "FAILBACK": "Back to the preferred region",
    "FAILOVER": "Move away from a region that is gone",
    "DRILL_ISOLATED": "Isolated drill",
    "GAME_DAY": "Game day: there and back",
}  # fmt: skip - a table
"""Kinds of runs that a person starts, with their words."""


@page("/console/continuity")
async def every(at: Visit) -> Shown:
    """All slots, and who holds them."""
    rows = await at.api.all("/v1/namespaces/-/continuums", "continuums")
    return at.show("continuity.html", title="Continuity", rows=rows)


@page(_SLOT)
async def slot(at: Visit) -> Shown:
    """One of them: holder, epoch, authority that runs out, lag, cells, and what was done."""
    return await _slot(at)


async def _slot(at: Visit, faults: Faults = NONE) -> Shown:
    one, runs = await together(
        at.api.get(f"/v1/{_name(at)}"), at.api.get(f"/v1/{_name(at)}/runs", pageSize=20)
    )  # fmt: skip
    return at.show(
        "slot.html",
        title=at.names["slot"],
        one=one,
        runs=runs["runs"],
        faults=faults,
        moves=MOVES,
        regions=targets(one),
        status=409 if faults else 200,
    )  # fmt: skip - one call


def targets(one: Answer) -> list[str]:
    """Regions that the slot could move to."""
    spec, live = one["spec"], one.get("status", {}).get("primaryRegion", "")
    return [
        name for name in (spec.get("primaryRegion", ""), *spec.get("hotStandbyRegions", ())) if name and name != live
    ]


@action(_SLOT + "/rehearse")
async def rehearse(at: Visit) -> Shown:
    """What a move would do, without doing it: the way to the red button leads through here."""
    wish = {"kind": f"RUN_KIND_{at.form.get('kind', '')}", "toRegion": at.form.get("region", "")}
    return await _rehearsed(at, wish)


async def _rehearsed(at: Visit, wish: Mapping[str, Any], faults: Faults = NONE, confirm: str = "") -> Shown:
    try:
        one, plan = await together(
            at.api.get(f"/v1/{_name(at)}"), at.api.send("POST", f"/v1/{_name(at)}:plan", wish)
        )  # fmt: skip
    except REFUSALS as refused:
        return await _slot(at, Faults.of(refused))
    return at.show(
        "rehearsal.html",
        title=f"Rehearsal of {at.names['slot']}",
        one=one,
        plan=plan,
        faults=faults,
        confirm=confirm,
        kind=words.bare(plan["kind"]).removeprefix("RUN_KIND_"),
        moves=MOVES,
        status=422 if faults else 200,
    )  # fmt: skip - one call


@action(_SLOT + "/move")
async def move(at: Visit) -> Shown:
    """Start what was rehearsed: only under its fingerprint, and after the region was typed."""
    wish = {"kind": f"RUN_KIND_{at.form.get('kind', '')}", "toRegion": at.form.get("region", "")}
    typed = at.form.get("confirm", "").strip()
    if typed != wish["toRegion"]:
        said = Faults(
            "type the region to which it moves, exactly", "CONFIRMATION_WRONG", {"confirm": "this is another name"}
        )
        return await _rehearsed(at, wish, said, typed)
    body = {
        **wish,
        "reason": at.form.get("reason", ""),
        "expectedEpoch": at.form.get("epoch", "0"),
        "planFingerprint": at.form.get("fingerprint", ""),
    }  # fmt: skip - a body
    try:
        started = await at.api.send("POST", f"/v1/{_name(at)}/runs", body)
    except REFUSALS as refused:
        return await _rehearsed(at, wish, Faults.of(refused), typed)
    run = started.get("metadata", {}).get("run", "")
    return at.go(f"/console/{run}" if run else at.path)


@action(_SLOT + "/{verb:str}")
async def do(at: Visit) -> Shown:
    """Suspend, resume, or acknowledge what happened."""
    one = await at.api.get(f"/v1/{_name(at)}")
    body = {"reason": at.form.get("says", "")}
    if at.names["verb"] == "acknowledge":
        body = {"comment": at.form.get("says", ""), "expectedEpoch": one.get("status", {}).get("epoch", "0")}
    try:
        await at.api.send("POST", f"/v1/{_name(at)}:{at.names['verb']}", body, etag=one["etag"])
    except REFUSALS as refused:
        return await _slot(at, Faults.of(refused))
    return at.go(f"/console/{_name(at)}")


@page(_RUN)
async def run(at: Visit) -> Shown:
    """One move: its steps, who waits for whom, and what was measured."""
    return await _run(at)


async def _run(at: Visit, faults: Faults = NONE) -> Shown:
    found = await at.api.get(f"/v1/{_name(at)}/runs/{at.names['run']}")
    return at.show(
        "move.html",
        title=f"Move of {at.names['slot']}",
        run=found,
        faults=faults,
        slot=_name(at),
        status=409 if faults else 200,
    )


@action(_RUN + "/{verb:str}")
async def decide(at: Visit) -> Shown:
    """Approve a move, or abort it."""
    name = f"{_name(at)}/runs/{at.names['run']}"
    found = await at.api.get(f"/v1/{name}")
    says = at.form.get("says", "")
    approving = at.names["verb"] == "approve"
    body = {"planFingerprint": found["planFingerprint"], "comment": says} if approving else {"reason": says}
    try:
        await at.api.send("POST", f"/v1/{name}:{at.names['verb']}", body, etag=found["etag"])
    except REFUSALS as refused:
        return await _run(at, Faults.of(refused))
    return at.go(f"/console/{name}")


def _name(at: Visit) -> str:
    return f"namespaces/{at.names['namespace']}/continuums/{at.names['slot']}"


PAGES = (every, slot, rehearse, move, do, run, decide)
