"""What agents have to tell and the store has not taken yet, on a local disk: a file each, in the order in which it happened.

Invariants
  outlives a death  what was told stands on disk before anybody tries to write it into the store, and until that has taken it;
  at least once     whoever dies between the store and the disk tells it again;
  bounded           of more than `MOST` the oldest goes, and the log has it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

MOST = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """What an agent did: of which slot, where, what, why, and with which figures."""

    slot: str
    region: str
    kind: str
    why: str
    evidence: Mapping[str, str]


class Spool:
    """Files of a folder; None: in memory alone."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._waiting: dict[int, Told] = dict(_read(folder)) if folder is not None else {}
        self._last = max(self._waiting, default=0)

    def put(self, told: Told) -> None:
        """Keep it until it is `taken`."""
        self._last += 1
        self._waiting[self._last] = told
        if self._folder is not None:
            fresh = self._folder / "new"
            with suppress(OSError):  # a full disk stops no agent: it is told from memory then
                fresh.write_text(json.dumps(asdict(told)))
                os.replace(fresh, self._file(self._last))
        while len(self._waiting) > MOST:
            self.taken(min(self._waiting))

    def first(self) -> tuple[int, Told] | None:
        """What has waited longest, and its number; None: nothing waits."""
        return next(iter(self._waiting.items()), None)

    def taken(self, number: int) -> None:
        """The store has it."""
        self._waiting.pop(number, None)
        if self._folder is not None:
            self._file(number).unlink(missing_ok=True)

    def _file(self, number: int) -> Path:
        assert self._folder is not None
        return self._folder / f"{number:012d}.json"


def _read(folder: Path) -> Iterator[tuple[int, Told]]:
    """What an earlier life left, in order; what was not written whole is not there, and what cannot be read is left alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for path in sorted(folder.glob("*.json")):
        with suppress(OSError, ValueError, TypeError):
            yield int(path.stem), Told(**json.loads(path.read_text()))
