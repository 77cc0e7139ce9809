"""What a check of `catalyst doctor` came to."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One check and what came of it: ok, warning or failed."""

    check: str
    status: str
    message: str
    remedy: str = ""
