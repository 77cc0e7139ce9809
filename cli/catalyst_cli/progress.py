"""Progress of a run: a tree of phases on a terminal, plain lines elsewhere. Resumes by itself; Ctrl-C only detaches."""

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from .api import Api
from .failures import Failure
from .output import err, word

PATIENCE = 60.0
"""Seconds for which a server may be away before the command gives up; the run does not."""
PAUSE = 0.3
UNAVAILABLE = 6
T = TypeVar("T")
DONE = {"SUCCEEDED", "SKIPPED", "UNDONE"}
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED_CLEAN", "CANCELLED_WITH_LEFTOVERS", "STUCK"}
_TOLD = {"step.started": "RUNNING", "step.succeeded": "SUCCEEDED"}
"""Codes of events that say what has become of their step."""
_SIGNS = {
    "SUCCEEDED": ("✓", "green"),
    "FAILED": ("✗", "red"),
    "UNDO_FAILED": ("✗", "red"),
    "RUNNING": ("●", "blue"),
    "WAITING": ("◌", "yellow"),
    "IN_DOUBT": ("?", "yellow"),
    "SKIPPED": ("-", "dim"),
    "UNDONE": ("↺", "dim"),
}  # fmt: skip - sign and colour of a state


class Detached(Exception):
    """The person pressed Ctrl-C; the run goes on."""


def follow(api: Api, run: str) -> dict[str, Any]:
    """Show `run` until it ended, or waits for a person; its state then. Raises Detached on Ctrl-C."""
    try:
        if err.is_terminal:
            with Live(console=err, refresh_per_second=8, transient=False) as live:
                return _follow(api, run, lambda steps, began: live.update(_tree(steps, began)))
        return _follow(api, run, _plain())
    except KeyboardInterrupt as stop:
        raise Detached(run) from stop


def _follow(api: Api, run: str, draw: Any) -> dict[str, Any]:
    began = time.monotonic()
    while True:
        answer = _patiently(lambda: api.get(f"/v1/{run}"))
        steps = _steps(api, run)
        draw(steps, began)
        if word(answer["state"]) in ENDED or open_gates(answer):
            return answer
        # The steps show what was told up to the run's version, and perhaps more.
        for _number, event, data in api.stream(f"/v1/{run}/events:stream", last=str(answer.get("version", ""))):
            if event == "done":
                break
            if data.get("code", "").startswith(("step.", "run.")):
                steps = moved(steps, data) or _steps(api, run)
                draw(steps, began)
            if data.get("code") == "step.waiting" and (data.get("data") or {}).get("for") == "signal":
                break
        time.sleep(PAUSE)  # a stream that ended without `done` was cut; the next one goes on after `last`


def moved(steps: list[dict[str, Any]], event: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The steps after an event that tells all that is shown of it: a step has begun, or is done. None: they have to be asked for.

    Nearly all events of a run are such, and to ask for all steps at each costs the provisioner more than the run itself.
    """
    state = _TOLD.get(str(event.get("code")))
    found = next((n for n, step in enumerate(steps) if _short(step) == event.get("step")), None)
    if state is None or found is None:
        return None
    if word(steps[found]["state"]) in DONE:
        return steps  # they were asked for after this was told
    now = {**steps[found], "state": state, "error": None, "waitingFor": ""}
    return [*steps[:found], now, *steps[found + 1 :]]


def open_gates(run: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Gates at which a run waits for a person; nobody who only watches can do anything about them."""
    waits = word(run["state"]) == "WAITING"
    return [gate for gate in run.get("gates", ()) if word(gate["state"]) == "OPEN"] if waits else []


def who_answers(gate: Mapping[str, Any]) -> str:
    """Who may open a gate, in words."""
    named = ", ".join([*gate.get("roles", ()), *gate.get("principals", ())])
    return f"{named}; not its requester" if gate.get("secondPerson") else named


def _steps(api: Api, run: str) -> list[dict[str, Any]]:
    return _patiently(lambda: api.pages(f"/v1/{run}/steps", "steps"))


def _patiently(ask: Callable[[], T]) -> T:
    """Ask until the server is there: a daemon that was killed comes back, and the run goes on meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ask()
        except Failure as failure:
            if failure.exit_code != UNAVAILABLE or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def _plain() -> Any:
    seen: dict[str, str] = {}

    def draw(steps: list[Mapping[str, Any]], began: float) -> None:
        for step in steps:
            state = word(step["state"])
            if seen.get(step["name"]) != state and state not in ("PENDING", "READY"):
                seen[step["name"]] = state
                done = sum(word(s["state"]) in DONE for s in steps)
                elapsed = time.monotonic() - began
                why = f"  {step['error']['message']}" if step.get("error") else ""
                err.print(
                    f"{elapsed:6.1f}s  {done:>3}/{len(steps)}  {state.lower():<10} {_short(step)}{why}", markup=False
                )

    return draw


def _tree(steps: list[Mapping[str, Any]], began: float) -> RenderableType:
    done = sum(word(s["state"]) in DONE for s in steps)
    lines = [Text(f"{done} of {len(steps)} steps, {time.monotonic() - began:.0f} s", style="bold")]
    phases: dict[str, list[Mapping[str, Any]]] = {}
    for step in steps:
        phases.setdefault(step.get("phase") or "run", []).append(step)
    for phase, members in phases.items():
        finished = [s for s in members if word(s["state"]) in DONE]
        lines.append(
            Text(f" {phase}  {len(finished)}/{len(members)}", style="dim" if len(finished) == len(members) else "")
        )
        shown = (
            members
            if len(members) <= 8
            else [s for s in members if word(s["state"]) not in (*DONE, "PENDING", "READY")]
        )
        lines += [_line(step) for step in shown]
    return Group(*lines)


def _line(step: Mapping[str, Any]) -> Text:
    sign, style = _SIGNS.get(word(step["state"]), ("·", "dim"))
    why = step.get("error") or {}
    text = Text(f"   {sign} {_short(step)}", style=style)
    waiting = step.get("waitingFor") or why.get("message") or ""
    return text.append(f"  {waiting}", style="dim") if waiting else text


def _short(step: Mapping[str, Any]) -> str:
    return str(step["name"]).rsplit("/", 1)[-1]
