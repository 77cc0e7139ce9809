"""Whether somebody may still hold a certificate for a name that nobody has any more.

Certificate logs (RFC 6962) can only be read from end to end; who follows all of them can be asked for a name.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx

PATIENCE = 5.0
PAUSE = timedelta(minutes=1)
"""For which nobody is asked after an answer that was none, if it does not say how long."""
LONGEST_PAUSE = timedelta(hours=1)


class CertificateLogs(Protocol):
    """Somebody who follows the logs."""

    async def has_valid(self, fqdn: str, now: datetime) -> bool | None:
        """Whether a certificate of the name, or of one below it, has not ended yet; None where nobody says."""
        ...


class NoLogs:
    """Nobody is asked, and no certificate keeps a name."""

    async def has_valid(self, fqdn: str, now: datetime) -> bool | None:
        return False


@dataclass
class IssuanceSearch:
    """Asks a search over the logs, in the words of Cert Spotter: `GET {base}/v1/issuances?domain=`, a JSON list of issuances.

    token_file   with what it lets its customers in by; None: it is asked as anybody
    """

    base: str
    token_file: Path | None = None
    monotonic: Callable[[], float] = time.monotonic
    _silent_until: float = field(default=0.0, init=False)

    async def has_valid(self, fqdn: str, now: datetime) -> bool | None:
        """As `CertificateLogs` says. Who asks for a pause is left alone for as long, whichever name it is about."""
        if self.monotonic() < self._silent_until:
            return None
        query = {"domain": fqdn, "include_subdomains": "true"}
        try:
            async with httpx.AsyncClient(timeout=PATIENCE) as client:
                answer = await client.get(
                    f"{self.base.rstrip('/')}/v1/issuances", params=query, headers=self._credential()
                )
            if answer.status_code != httpx.codes.OK:
                self._be_silent(answer.headers.get("retry-after", ""))
                return None
            return any(_ends(one) > now for one in answer.json())
        except (httpx.HTTPError, OSError, ValueError, TypeError, LookupError):
            self._be_silent()
            return None

    def _credential(self) -> dict[str, str]:
        if self.token_file is None:
            return {}
        return {"authorization": f"Bearer {self.token_file.read_text().strip()}"}

    def _be_silent(self, seconds: str = "") -> None:
        pause = timedelta(seconds=int(seconds)) if seconds.isdecimal() and len(seconds) < 9 else PAUSE
        self._silent_until = self.monotonic() + min(max(pause, PAUSE), LONGEST_PAUSE).total_seconds()


def _ends(issuance: Any) -> datetime:
    """`not_after`, which states its zone (RFC 3339)."""
    ends = datetime.fromisoformat(issuance["not_after"])
    return ends if ends.tzinfo else ends.replace(tzinfo=UTC)
