"""A run while it goes on: its graph, its steps with their logs, and what a person may do about them."""

from typing import Any

import grpc

from . import graphs, words
from .asking import together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_RUN = "/console/sovereigns/{sovereign:str}/runs/{run:str}"
_STEP = _RUN + "/steps/{step:str}"
_EVENTS, _LINES = 200, 500
_DOES = {
    "RUNNING": ("pause", "cancel"), "WAITING": ("pause", "cancel"), "PENDING": ("pause", "cancel"),
    "PAUSED": ("resume", "cancel"), "STUCK": ("resume", "cancel"), "FAILED": ("cancel",),
}  # fmt: skip
"""What may be done with a run in a state; the daemon decides, and refuses what has changed meanwhile."""
_RETRIED = ("FAILED", "SKIPPED", "UNDO_FAILED")
_LEFT_OUT = ("PENDING", "READY", "WAITING", "FAILED", "IN_DOUBT")


@page(_RUN)
async def run(at: Visit) -> Shown:
    """The graph; with `?step=`, that step and its log."""
    return await _show(at)


async def _show(at: Visit, faults: Faults = NONE, step: str = "") -> Shown:
    name = f"sovereigns/{at.names['sovereign']}/runs/{at.names['run']}"
    # One after the other: steps that were read before the run could be older than its state.
    found = await at.api.get(f"/v1/{name}")
    steps = await at.api.all(f"/v1/{name}/steps", "steps")
    chosen = _chosen(steps, step or at.query.get("step", ""))
    since = max(1, int(found["version"]) - _EVENTS)
    events, lines = await together(
        at.api.get(f"/v1/{name}/events", fromSeq=since, pageSize=_EVENTS + 50),
        _log(at, name, chosen),
    )
    over = sum(words.bare(s["state"]) in ("SUCCEEDED", "SKIPPED", "UNDONE") for s in steps)
    return at.show(
        "run.html",
        title=f"Run of {at.names['sovereign']}",
        status=409 if faults else 200,
        faults=faults,
        name=name,
        run=found,
        steps=steps,
        over=over,
        graph=graphs.lay_out(steps),
        chosen=chosen,
        lines=lines,
        events=events["events"],
        does=() if found["final"] else _DOES.get(words.bare(found["state"]), ()),
        doing=_doing(chosen),
        width=graphs.WIDTH,
        height=graphs.HEIGHT,
    )  # fmt: skip - one call


def _chosen(steps: list[dict[str, Any]], id: str) -> dict[str, Any] | None:
    """The step that was asked for; else the first that needs a look."""
    by_id = {words.leaf(step["name"]): step for step in steps}
    if id in by_id:
        return by_id[id]
    for states in (("FAILED", "UNDO_FAILED"), ("WAITING",)):
        for step in steps:
            if words.bare(step["state"]) in states and (states[0] == "FAILED" or step.get("gate")):
                return step
    return None


async def _log(at: Visit, run: str, step: dict[str, Any] | None) -> list[dict[str, Any]] | None:
    """What a step wrote; None for whoever may see runs and not their logs."""
    if step is None:
        return []
    try:
        answer = await at.api.get(f"/v1/{run}/logs", step=words.leaf(step["name"]), pageSize=_LINES)
    except grpc.aio.AioRpcError as refused:
        if refused.code() is not grpc.StatusCode.PERMISSION_DENIED:
            raise
        return None
    return list(answer["lines"])


def _doing(step: dict[str, Any] | None) -> tuple[str, ...]:
    """What may be done with a step."""
    if step is None:
        return ()
    state = words.bare(step["state"])
    found = ["retry"] if state in _RETRIED else []
    if step["skippable"] and state in _LEFT_OUT:
        found.append("skip")
    if words.bare((step.get("gate") or {}).get("state")) == "OPEN":
        found += ["approve", "reject"]
    return tuple(found)


@action(_RUN + "/{verb:str}")
async def act(at: Visit) -> Shown:
    """Pause, resume or cancel it."""
    name = f"sovereigns/{at.names['sovereign']}/runs/{at.names['run']}"
    how = {"mode": "MODE_COMPENSATE" if at.form.get("compensate") else "MODE_FINISH_STEP"}
    try:
        await at.api.send("POST", f"/v1/{name}:{at.names['verb']}", how if at.names["verb"] == "cancel" else {})
    except REFUSALS as refused:
        return await _show(at, Faults.of(refused))
    return at.go(f"/console/{name}")


_SAYS = {"skip": "reason", "approve": "comment", "reject": "comment"}


@action(_STEP + "/{verb:str}")
async def act_on_step(at: Visit) -> Shown:
    """Retry, skip, approve or reject one of its steps."""
    step, verb = at.names["step"], at.names["verb"]
    name = f"sovereigns/{at.names['sovereign']}/runs/{at.names['run']}"
    body = {_SAYS[verb]: at.form.get("says", "")} if verb in _SAYS else {}
    try:
        await at.api.send("POST", f"/v1/{name}/steps/{step}:{verb}", body)
    except REFUSALS as refused:
        return await _show(at, Faults.of(refused), step)
    return at.go(f"/console/{name}?step={step}")


PAGES = (run, act, act_on_step)
