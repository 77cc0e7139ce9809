"""How often somebody may ask: by who they are, or, of those whom we do not know, by where they are.

The buckets are one replica's; behind a balancer of several replicas the sum of them is let through. They are memory and
nothing else, so that there is no limiter that could be down.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from catalyst_mesh.errors import Explained
from catalyst_mesh.rates import Rate, Rates
from catalyst_sdk import Code, Refused

from . import problems

_COUNTED = re.compile(r"/v1/.*|/graphql|/console/sign-in/code")
"""What is counted; pages and their files are not, of which one look fetches many."""
_GUESSED = re.compile(
    r"/v1/auth/(login|code|callback|refresh)|/console/sign-in/code|/v1/billing/vouchers:preview|/v1/organizations:checkSlug"
)
"""Where somebody could try secrets or names one after the other."""
_CHECKED = re.compile(r"/v1/pools/[^/]+/check|/v1/pools/[^/]+:checkName|/v1/validate")
"""Where it is told whether a name of a pool is taken. Forms ask while somebody types, so that more is let through."""


class TooManyCalls(Refused):
    code, reason, message = Code.RESOURCE_EXHAUSTED, "CALLS_LIMITED", "{limit} calls in a minute are let through; wait"


class TooManyChecks(Refused):
    code, reason = Code.RESOURCE_EXHAUSTED, "RATE_LIMITED"
    message = "checks are limited to {limit} in a minute of one address; wait"


@dataclass(frozen=True, slots=True)
class PerMinute:
    """Calls that are let through in a minute, at once or one after the other."""

    identity: int = 600
    address: int = 120
    guesses: int = 10
    checks: int = 60


class Limits:
    """The buckets of this replica."""

    def __init__(self, most: PerMinute, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._rates = Rates()
        self._monotonic = monotonic

    def refusal(self, path: str, subject: str, address: str) -> Explained | None:
        """Why a call is not let through, and when to ask again; None where it is.

        subject   of whoever was recognised by a token that holds; empty for all others
        """
        if not _COUNTED.fullmatch(path):
            return None
        if _GUESSED.fullmatch(path) and (wait := self._wait("guesses", address, self._most.guesses)):
            return _said(TooManyCalls(limit=self._most.guesses), wait)
        if _CHECKED.fullmatch(path) and (wait := self._wait("checks", address, self._most.checks)):
            return _said(TooManyChecks(limit=self._most.checks), wait)
        kind, key, most = (
            ("identity", subject, self._most.identity) if subject else ("address", address, self._most.address)
        )
        wait = self._wait(kind, key, most)
        return _said(TooManyCalls(limit=most), wait) if wait else None

    def _wait(self, kind: str, key: str, most: int) -> timedelta | None:
        return self._rates.take((kind, key), Rate(most / 60, most), self._monotonic())


def _said(refused: Refused, wait: timedelta) -> Explained:
    return replace(problems.of_refusal(refused), retry_after=wait)
