"""What an agent must not forget over its own death, on local disk: one small file a slot.

No safety rests on it being there. A file that is lost makes an agent renew before it acts, and wait before it claims; one that
is older than the truth says less. Times in it count only within the same start of the machine.
"""

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Remembered:
    """epoch      highest that was ever seen of the slot
    led        the last one in which this region was primary, with a write of its own that came through
    open       the same, as long as no fence was begun here since; 0: one was
    waited     the last one in which a promotion was begun here, after the end of what this region had promised to others
    held       the one that the last committed renewal was made in
    sent_at    when that was sent, in this start of the machine
    gave       the epoch in which the database here was asked to give up for good
    system_id  of the database, as the holder told it
    lost       the epoch in which this region led and then lost the slot otherwise than by plan, and `lost_at` the wall clock
    unconfirmed  the epoch that people gave without a majority of cells, and the number of the record before; 0: none
    forced     the epoch that is made by force, and seconds from its commit until this region may act in it
    run, token the demotion token of a run, until it is used: log position and what the database's tools want
    """

    epoch: int = 0
    led: int = 0
    open: int = 0
    waited: int = 0
    held: int = 0
    sent_at: float | None = None
    gave: int = 0
    system_id: str = ""
    lost: int = 0
    lost_at: float = 0.0
    unconfirmed: tuple[int, int] = (0, 0)
    forced: tuple[int, float] = (0, 0.0)
    run: str = ""
    token: tuple[str, int, str, str] | None = None


class Memory(Protocol):
    """Where it is kept."""

    def read(self, slot: str) -> Remembered: ...

    def keep(self, slot: str, what: Remembered) -> None: ...


class DiskMemory:
    """Files in a folder of this machine."""

    def __init__(self, folder: Path, boot_id: str) -> None:
        self._folder = folder
        self._boot_id = boot_id
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, slot: str) -> Remembered:
        """What was kept; a file that cannot be read is none."""
        try:
            kept = json.loads(self._file(slot).read_text())
            boot_id = kept.pop("boot_id")
            kept.setdefault("open", kept["led"])  # a file of before that was known
            token, (epoch, wait) = kept.pop("token"), kept.pop("forced", (0, 0.0))
            taken, seq = kept.pop("unconfirmed", (0, 0))
            what = Remembered(
                **kept, unconfirmed=(taken, seq), forced=(epoch, wait), token=tuple(token) if token else None
            )
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Remembered()
        return what if boot_id == self._boot_id else replace(what, sent_at=None)

    def keep(self, slot: str, what: Remembered) -> None:
        """Replace the file as a whole: a death leaves the old one or the new one."""
        new = self._file(slot).with_suffix(".new")
        new.write_text(json.dumps({**asdict(what), "boot_id": self._boot_id}))
        os.replace(new, self._file(slot))

    def _file(self, slot: str) -> Path:
        return self._folder / f"{quote(slot, safe='')}.json"


def boot_id() -> str:
    """Of this start of the machine; a fresh one where the system has none, so that no old time is ever believed."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return os.urandom(16).hex()
