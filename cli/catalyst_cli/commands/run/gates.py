"""`catalyst run approve` and `catalyst run reject`."""

from typing import Annotated

import typer

from catalyst_cli.api import Api, new_request_id
from catalyst_cli.commands.run.get_run import Run
from catalyst_cli.context import context
from catalyst_cli.failures import Failure
from catalyst_cli.output import Form, Output, show, word

Step = Annotated[str, typer.Argument(help="Id of the step that waits. Default: the only one that does.")]
Comment = Annotated[str, typer.Option(help="Why; kept with the run.")]
COLUMNS = {"NAME": "name", "STATE": "state", "GATE": "gate.kind", "ASKED": "gate.message"}


def approve(name: Run, step: Step = "", comment: Comment = "", output: Output = Form.TABLE) -> None:
    """Agree to what a run waits for. Where production is at stake, somebody else than its requester has to.

    Examples:

        catalyst run approve sovereigns/omantel/runs/run-019a2b3c --comment "as agreed on Monday"

        catalyst run approve sovereigns/omantel/runs/run-019a2b3c approve.destroy
    """
    _answer(name, step, "approve", comment, output)


def reject(name: Run, step: Step = "", comment: Comment = "", output: Output = Form.TABLE) -> None:
    """Refuse what a run waits for; its step fails, and nothing of what was asked is done.

    Examples:

        catalyst run reject sovereigns/omantel/runs/run-019a2b3c --comment "the bank still needs it"
    """
    _answer(name, step, "reject", comment, output)


def _answer(name: str, step: str, verb: str, comment: str, output: Form) -> None:
    api = Api(context())
    step = step or _waiting(api, name)
    answer = api.post(f"/v1/{name}/steps/{step}:{verb}", {"comment": comment}, once=new_request_id())
    show(output, answer, COLUMNS)


def _waiting(api: Api, name: str) -> str:
    """The one step whose gate is open. Raises Failure for none and for several."""
    gates = [gate["step"] for gate in api.get(f"/v1/{name}").get("gates", ()) if word(gate["state"]) == "OPEN"]
    if len(gates) != 1:
        why = f"open gates: {', '.join(gates)}" if gates else "no gate of it is open"
        raise Failure(f"{name}: say which step", why=why, next_step=f"catalyst run get {name}", exit_code=4)
    return str(gates[0])
