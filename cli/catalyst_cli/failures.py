"""How a command fails: what happened, why, what to do next. No traceback for a mistake."""

EXIT_CODES = {
    "INVALID_ARGUMENT": 2,
    "NOT_FOUND": 3,
    "ALREADY_EXISTS": 4,
    "ABORTED": 4,
    "FAILED_PRECONDITION": 4,
    "UNAUTHENTICATED": 5,
    "PERMISSION_DENIED": 5,
    "UNAVAILABLE": 6,
    "DEADLINE_EXCEEDED": 6,
    "RESOURCE_EXHAUSTED": 6,
}
"""Exit code by canonical code; 1 for all others."""


class Failure(Exception):
    """A command ends with this."""

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        next_step: str = "",
        exit_code: int = 1,
        trace_id: str = "",
        details: tuple[str, ...] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.next_step = next_step
        self.exit_code = exit_code
        self.trace_id = trace_id
        self.details = details

    def lines(self) -> list[str]:
        """What the person reads."""
        lines = [f"error: {self.what}", *(f"  {detail}" for detail in self.details)]
        lines += [f"why: {self.why}"] if self.why else []
        lines += [f"next: {self.next_step}"] if self.next_step else []
        lines += [f"trace: {self.trace_id}"] if self.trace_id else []
        return lines
