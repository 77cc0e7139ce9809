"""What every state machine of billing says to a command that its state does not allow."""

from collections.abc import Iterable

from catalyst_sdk import Refused


class IllegalTransition(Refused):
    reason = "ILLEGAL_TRANSITION"
    message = "{resource} is {state}; {command} is not possible then, only: {allowed}"

    def __init__(self, resource: str, state: str, command: str, allowed: Iterable[str]) -> None:
        words = ", ".join(sorted(allowed)) or "nothing"
        super().__init__(resource=resource, state=state.upper(), command=command, allowed=words)
