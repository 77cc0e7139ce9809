"""Operations of the daemon of Organizations, followed step by step; Ctrl-C only detaches."""

import time
from typing import Any

import typer

from catalyst_cli.api import Api
from catalyst_cli.failures import EXIT_CODES, Failure
from catalyst_cli.output import err, word

PAUSE = 0.3
PATIENCE = 60.0
"""Seconds for which a server may be away before the command gives up; the operation does not."""


def followed(api: Api, resource: dict[str, Any], *, wait: bool) -> dict[str, Any]:
    """The resource once its operation is over; with `wait` off, as it stands. Raises Failure."""
    name = str(resource.get("operation", ""))
    if not (wait and name):
        return resource
    said: set[str] = set()
    try:
        while not (operation := _patiently(api, name)).get("done"):
            _say(operation, said)
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        err.print(f"\ndetached; it goes on: catalyst app operation {name}", markup=False)
        raise typer.Exit(130) from None
    _say(operation, said)
    if "error" in operation:
        raise Failure(
            f"{name} failed", why=operation["error"].get("message", ""), next_step=f"catalyst app retry {name}"
        )
    return dict(operation.get("response") or resource)


def _patiently(api: Api, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return api.get(f"/v1/{name}")
        except Failure as failure:
            if failure.exit_code != EXIT_CODES["UNAVAILABLE"] or time.monotonic() > deadline:
                raise
        time.sleep(PAUSE)


def _say(operation: dict[str, Any], said: set[str]) -> None:
    for step in operation.get("metadata", {}).get("steps", ()):
        line = f"{word(step.get('state')).lower():10} {step['name']} {step.get('message', '')}".rstrip()
        if word(step.get("state")) not in ("PENDING", "") and line not in said:
            said.add(line)
            err.print(line, markup=False)
