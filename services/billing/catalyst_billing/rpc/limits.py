"""How often codes may be tried: counted in the database, so that it holds however many replicas answer."""

from collections.abc import Iterable
from datetime import timedelta
from hashlib import sha256

from catalyst_mesh import Work
from catalyst_sdk import Code, Refused

from ..store import Store

MINUTE = timedelta(minutes=1)
OF_ADDRESS = 10
"""Previews of one address in one minute."""
OF_PREFIX = 30
"""Previews of codes with the same first four signs in one minute."""


class PreviewLimited(Refused):
    code, reason = Code.RESOURCE_EXHAUSTED, "PREVIEW_LIMITED"
    message = "too many codes were tried; wait a minute"
    retry_after = MINUTE


class PreviewLimit:
    """Counts tries by the caller's address and by the first four signs of the code, neither of which is written down."""

    def __init__(self, work: Work[Store]) -> None:
        self._work = work

    async def admit(self, typed: str, address: str) -> None:
        """Count one try. Raises PreviewLimited; what is refused does not count."""
        limits = [(f"prefix {typed.strip().upper()[:4]}", OF_PREFIX)]
        if address:
            limits.append((f"address {address}", OF_ADDRESS))

        async def step(tx: Store) -> None:
            for bucket, most in _ordered(limits):
                if not await tx.try_code(bucket, most, MINUTE):
                    raise PreviewLimited

        await self._work.again(step)


def _ordered(limits: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Hashed, and in one order for everybody, so that no two wait for each other."""
    return sorted((sha256(bucket.encode()).hexdigest()[:32], most) for bucket, most in limits)
