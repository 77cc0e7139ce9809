"""What a caller of the engine is refused, and why."""

from catalyst_sdk import Code, Refused


class RunInProgress(Refused):
    """Another run of the same subject has not ended; its id is `run`."""

    code, reason, message = Code.ALREADY_EXISTS, "RUN_IN_PROGRESS", "{subject} has a run that has not ended: {run}"

    def __init__(self, *, subject: str, run: str) -> None:
        super().__init__(subject=subject, run=run)
        self.run = run


class RunNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "RUN_NOT_FOUND", "there is no run {run}"


class StepNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "STEP_NOT_FOUND", "run {run} has no step {step}"


class KeyReused(Refused):
    code, reason = Code.INVALID_ARGUMENT, "RUN_KEY_REUSED"
    message = "the key {key} started run {run}, which has another subject or input"


class WrongRunState(Refused):
    reason, message = "RUN_STATE", "run {run} is {state}; {action} is possible while it is {possible}"


class WrongStepState(Refused):
    reason, message = "STEP_STATE", "step {step} is {state}; {action} is possible while it is {possible}"


class StepNotSkippable(Refused):
    reason, message = "STEP_NOT_SKIPPABLE", "step {step} of run {run} cannot be left out"


class KindUnknown(Refused):
    reason, message = "RUN_KIND_UNKNOWN", "this daemon has no runs of kind {kind}"


class BadPosition(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FROM_SEQ_INVALID", "events are numbered from 1, not from {from_seq}"
    field = "from_seq"
