"""BIND's control channel: `rndc`. The server needs `allow-new-zones yes`; it remembers such zones over restarts itself."""

from pathlib import Path

from .control import Done, run

_ABSENT = ("not found", "no matching zone")


class Bind:
    """Implements `control.Control`.

    config   configuration of rndc: address of the control channel, and its key
    key      name of the key that may update and transfer
    policy   dnssec-policy of new zones; None: they are not signed
    """

    def __init__(self, config: str, key: str, policy: str | None) -> None:
        self._config = config
        self._key = key
        self._policy = policy

    async def has(self, zone: str) -> bool:
        """Whether the server is configured with the zone."""
        done = await self._rndc("zonestatus", zone)
        if done.code and not _is_absent(done):
            raise done.failure("BIND was asked for a zone")
        return done.code == 0

    async def add(self, zone: str, folder: Path, *, signed: bool) -> bool:
        """Configure the zone."""
        # A zone that is signed beside its file shows an update later than it says yes to it.
        signing = f'dnssec-policy "{self._policy}"; inline-signing no; ' if signed and self._policy else ""
        options = (
            f'{{ type primary; file "{folder}/zone"; key-directory "{folder}"; '
            f'update-policy {{ grant "{self._key}" zonesub ANY; }}; allow-transfer {{ key "{self._key}"; }}; {signing}}};'
        )
        done = await self._rndc("addzone", zone, options)
        if done.code and "already exists" in done.text:
            return False
        if done.code:
            raise done.failure(f"BIND does not take {zone}")
        return True

    async def sign(self, zone: str) -> None:
        """Look at the keys. Now and then one comes too late for the zone's load, and the next look is 10 minutes away."""
        done = await self._rndc("loadkeys", zone)
        if done.code:
            raise done.failure(f"BIND does not sign {zone}")

    async def delete(self, zone: str) -> None:
        """Take the zone out."""
        done = await self._rndc("delzone", "-clean", zone)
        if done.code and not _is_absent(done):
            raise done.failure(f"BIND keeps {zone}")

    async def _rndc(self, *words: str) -> Done:
        return await run("rndc", "-c", self._config, *words, package="bind9-utils")


def _is_absent(done: Done) -> bool:
    return any(text in done.text for text in _ABSENT)
