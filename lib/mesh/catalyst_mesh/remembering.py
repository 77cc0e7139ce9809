"""Callers whose tokens were checked a moment ago, so that a signature is computed once and not at each call.

Invariants
  one set of keys  what one set of keys was right for says nothing once another is in force;
  not past expiry  a token ends at its `exp` and the leeway, as where it is checked anew;
  bounded          of more than `MOST` tokens the one that was not asked about for longest is forgotten;
  no tokens        what is kept is a token's SHA-256, of which no memory dump makes a token again.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from joserfc.jwk import KeySet

from .calls import Caller

MOST = 4096


@dataclass(frozen=True, slots=True)
class Checked:
    """What the check of a token found."""

    caller: Caller
    keys: KeySet
    """The set by which it was checked; the answer counts for this very object."""
    kid: str
    until: float
    """Seconds since 1970."""


class Remembered:
    """Checks by token. `clock` tells seconds since 1970, as in `exp`."""

    def __init__(self, *, most: int = MOST, clock: Callable[[], float] = time.time) -> None:
        self._most = most
        self._clock = clock
        self._checks: OrderedDict[bytes, Checked] = OrderedDict()

    def of(self, token: str) -> Checked | None:
        """What was found about `token`, unless it has expired since; whoever asks compares the keys."""
        key = digest(token)
        found = self._checks.get(key)
        if found is None:
            return None
        if not self._clock() < found.until:  # so that what is no number has expired
            del self._checks[key]
            return None
        self._checks.move_to_end(key)
        return found

    def keep(self, token: str, found: Checked) -> Caller:
        """Remember what was found; the caller in it."""
        self._checks[digest(token)] = found
        while len(self._checks) > self._most:
            self._checks.popitem(last=False)
        return found.caller


def digest(token: str) -> bytes:
    """What stands for `token` where it is kept."""
    return hashlib.sha256(token.encode(errors="surrogatepass")).digest()
