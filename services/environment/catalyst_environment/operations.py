"""Names of operations: one for each run."""

PREFIX = "operations/environment-"


def name_of(run: str) -> str:
    """The operation of a run."""
    return f"{PREFIX}{run}"


def run_of(operation: str) -> str:
    """The run of an operation; what is none gives a name that no run has."""
    return operation.removeprefix(PREFIX)
