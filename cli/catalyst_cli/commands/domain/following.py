"""A domain's move, followed to its end. Whoever stops following stops nothing."""

import time
from typing import Any

from catalyst_cli.api import Api
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import err, word

COLUMNS = {
    "NAME": "name",
    "STATE": "state",
    "SERVERS": "wished.ns",
    "BACK UNTIL": "rollbackUntilTime",
    "OLD SERVERS UNTIL": "retainOldUntilTime",
}  # fmt: skip - reads as a table
MOVING = {"STAGED", "FLIPPING", "WATCHING", "ROLLING_BACK"}
PAUSE = 0.5
PATIENCE = 60.0
"""Seconds for which a server may be away before the command gives up; the move does not."""


def follow(api: Api, zone: str, operation: dict[str, Any] | None = None) -> dict[str, Any]:
    """The delegation once nothing moves it any more. Raises Failure where the operation has come to nothing."""
    seen, heard = "", set[str]()
    try:
        while True:
            cut = _patiently(api, f"/v1/{zone}/delegation")
            step = _patiently(api, f"/v1/{operation['name']}") if operation else {}
            told = f"{zone.removeprefix('zones/')} {word(cut['state']).lower()} {_step(step)}".rstrip()
            if told != seen:
                err.print(told, markup=False)
                seen = told
            for note in _notes(cut):
                if note not in heard:
                    err.print(f"  {note}", markup=False)
                    heard.add(note)
            if word(cut["state"]) not in MOVING and step.get("done", operation is None):
                break
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        err.print(f"\ndetached; the move goes on. To come back: catalyst domain watch {zone}", markup=False)
        raise
    if "error" in step:
        then = {"ROLLED_BACK": "everything is as it was", "FAILED": "nothing was changed, or see the conditions"}
        raise Failure(
            f"{zone} was not moved", why=step["error"].get("message", ""),
            next_step=f"{then.get(word(cut['state']), '')}; plan again: catalyst domain plan".lstrip("; "),
        )  # fmt: skip
    return cut


def _step(operation: dict[str, Any]) -> str:
    about = operation.get("metadata", {})
    return "" if operation.get("done") else str(about.get("step", ""))


def _notes(cut: dict[str, Any]) -> list[str]:
    """What does not hold while a move is watched, such as old servers that were switched off too early."""
    if word(cut["state"]) != "WATCHING":
        return []
    return [c["message"] for c in cut.get("conditions", ()) if word(c.get("status")) != "TRUE" and c.get("message")]


def _patiently(api: Api, path: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return api.get(path)
        except Failure as failure:
            if failure.exit_code != EXIT_CODES["UNAVAILABLE"] or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)
