"""Operations, followed to their end; Ctrl-C only detaches."""

import time
from typing import Any

from catalyst_cli.api import Api
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import err

PAUSE = 0.3
UNAVAILABLE = EXIT_CODES["UNAVAILABLE"]
PATIENCE = 60.0
"""Seconds for which a server may be away before the command gives up; the operation does not."""


def finish(api: Api, operation: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    """What an operation comes to; with `wait` off, as it stands. Raises Failure."""
    name, said = str(operation["name"]), ""
    try:
        while wait and not operation.get("done"):
            if (line := _standing(operation)) != said:
                err.print(line, markup=False)
                said = line
            time.sleep(PAUSE)
            operation = _patiently(api, name)
    except KeyboardInterrupt:
        err.print(f"\ndetached; {name} goes on", markup=False)
        raise
    if "error" in operation:
        info: dict[str, Any] = next((d for d in operation["error"].get("details", ()) if d.get("reason")), {})
        raise Failure(
            f"{name} failed", why=operation["error"].get("message", ""), next_step=_next(info.get("reason", ""))
        )
    return dict(operation.get("response") or operation)


def _patiently(api: Api, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return api.get(f"/v1/{name}")
        except Failure as failure:
            if failure.exit_code != UNAVAILABLE or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def _standing(operation: dict[str, Any]) -> str:
    """How far it is, as far as it says so."""
    about = operation.get("metadata", {})
    percent = about.get("progressPercent", 0)
    told = ", ".join(filter(None, (f"{percent} %" if percent else "", about.get("step", ""))))
    return f"{about.get('target') or operation['name']}: {told or 'under way'}"


def _next(reason: str) -> str:
    return "make the plan again: catalyst zone plan" if reason == "PLAN_STALE" else ""
