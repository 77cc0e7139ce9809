"""How often codes may be tried."""

from collections import deque
from datetime import datetime, timedelta

from catalyst_sdk import Code, Refused

MINUTE = timedelta(minutes=1)
MOST = 30
"""Previews of codes with the same first four signs in one minute."""
MOST_PREFIXES = 10_000
"""Prefixes that are remembered; beyond it the eldest are forgotten."""


class PreviewLimited(Refused):
    code, reason = Code.RESOURCE_EXHAUSTED, "PREVIEW_LIMITED"
    message = "too many codes like this were tried; wait a minute"
    retry_after = MINUTE


class PreviewLimit:
    """Counts tries by the first four signs of the code, in this process."""

    def __init__(self) -> None:
        self._tries: dict[str, deque[datetime]] = {}

    def admit(self, typed: str, now: datetime) -> None:
        """Count one try. Raises PreviewLimited."""
        prefix = typed.strip().upper()[:4]
        tries = self._tries.setdefault(prefix, deque())
        while tries and tries[0] <= now - MINUTE:
            tries.popleft()
        if len(tries) >= MOST:
            raise PreviewLimited
        tries.append(now)
        if len(self._tries) > MOST_PREFIXES:
            del self._tries[next(iter(self._tries))]
