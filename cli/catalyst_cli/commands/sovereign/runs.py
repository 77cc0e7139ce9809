"""Applying plans and following the runs that come of them."""

from typing import Any

from catalyst_cli.api import Api, Refused, new_request_id
from catalyst_cli.failures import Failure
from catalyst_cli.output import err, word
from catalyst_cli.progress import follow, open_gates, who_answers

WAITS, CANCELLED = 7, 8
"""Exit codes of a run that waits for a person, and of one that was cancelled."""


def apply(api: Api, plan: dict[str, Any], *, order: str = "", instead_of: str = "") -> str:
    """Apply a plan by its hash; the name of the run."""
    more = {"order": order, "supersedeRun": instead_of}
    body = {"hash": plan["hash"], **{key: value for key, value in more.items() if value}}
    operation = api.post(f"/v1/{plan['name']}:apply", body, once=new_request_id())
    return str(operation["metadata"]["run"])


def going(api: Api, name: str) -> str | None:
    """The run of a Sovereign that has not ended; None where there is none."""
    known = api.get(f"/v1/{name}")
    run = known.get("lastRun") or ""
    if not run:
        return None
    state = word(api.get(f"/v1/{run}")["state"])
    return run if state in ("PENDING", "RUNNING", "WAITING", "PAUSED", "CANCELLING") else None


def finish(api: Api, run: str, *, wait: bool) -> dict[str, Any] | None:
    """Follow `run` to its end, or say how to come back. Raises Failure where it did not succeed."""
    err.print(f"run       {run}", markup=False)
    if not wait:
        err.print(f"it goes on; watch it: catalyst sovereign watch {run.split('/')[1]}", markup=False)
        return None
    ended = follow(api, run)
    state = word(ended["state"])
    if waiting := open_gates(ended):
        details = tuple(f"{gate['kind']}: {gate.get('message', '')} ({who_answers(gate)})" for gate in waiting)
        raise Failure("the run waits for a person", details=details, next_step=f"catalyst run approve {run}",
                      exit_code=WAITS)  # fmt: skip
    if state != "SUCCEEDED":
        message = (ended.get("error") or {}).get("message", "")
        code = CANCELLED if state.startswith("CANCELLED") else 1
        raise Failure(f"the run ended as {state}", why=message, next_step=f"catalyst run get {run}", exit_code=code)
    return ended


def absent(refused: Refused) -> bool:
    """Whether the refusal says that the thing is not there."""
    return refused.exit_code == 3
