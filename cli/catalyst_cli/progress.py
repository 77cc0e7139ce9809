"""Progress of a run: a tree of phases on a terminal, plain lines elsewhere. Resumes by itself; Ctrl-C only detaches."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from .api import Api
from .failures import Failure
from .output import err, word

DONE = {"SUCCEEDED", "SKIPPED", "UNDONE"}
ENDED = {"SUCCEEDED", "FAILED", "CANCELLED_CLEAN", "CANCELLED_WITH_LEFTOVERS", "STUCK"}
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
    """Show `run` until it ended; its final state. Raises Detached on Ctrl-C."""
    try:
        if err.is_terminal:
            with Live(console=err, refresh_per_second=8, transient=False) as live:
                return _follow(api, run, lambda steps, began: live.update(_tree(steps, began)))
        return _follow(api, run, _plain())
    except KeyboardInterrupt as stop:
        raise Detached(run) from stop


def _follow(api: Api, run: str, draw: Any) -> dict[str, Any]:
    began, last, silent = time.monotonic(), "", 0
    while True:
        draw(api.pages(f"/v1/{run}/steps", "steps"), began)
        answer = api.get(f"/v1/{run}")
        if word(answer["state"]) in ENDED:
            draw(api.pages(f"/v1/{run}/steps", "steps"), began)
            return answer
        heard = False
        for number, event, data in api.stream(f"/v1/{run}/events:stream", last=last):
            last, heard, silent = number or last, True, 0
            if event == "done":
                break
            if data.get("code", "").startswith(("step.", "run.")):
                draw(api.pages(f"/v1/{run}/steps", "steps"), began)
        silent += not heard
        if silent > 60:
            raise Failure(
                "the stream of the run's events stays silent", next_step=f"catalyst run get {run}", exit_code=6
            )
        if not heard:
            time.sleep(0.5)  # the server is away; it comes back, and the stream goes on where it was


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
