"""The dead man's file: how long a region's agent vouches for its writers, for whoever takes writes on the same machine.

An agent that holds the slot writes it at every renewal; a gateway or a pooler takes no write for which it does not vouch. So the
writers end even where the agent has died and nobody is left to stop them. The file belongs on a memory disk: what it says ends
with the machine's life anyway, which the boot id shows.
"""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Sign:
    """What an agent vouches for.

    epoch              in which writes may be taken
    boot_id            of the machine's life in which the deadline was written
    boottime_deadline  until when, on the machine's clock since its start (CLOCK_BOOTTIME)
    """

    epoch: int
    boot_id: str
    boottime_deadline: float

    def refuses(self, *, now: float, epoch: int | None = None) -> str:
        """Why no write may be taken at `now`; empty: one may. `epoch` None: whoever asks knows of no epochs."""
        if self.boot_id != boot_id():
            return "the sign of life is from before this machine was started"
        if now >= self.boottime_deadline:
            return f"the sign of life ended {now - self.boottime_deadline:.1f} s ago"
        if epoch is not None and epoch != self.epoch:
            return f"the agent vouches for epoch {self.epoch}, not for {epoch}"
        return ""


def boottime() -> float:
    """Seconds since the machine started, counting on while it is suspended; where there is no such clock, monotonic ones."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def boot_id() -> str:
    """The machine's life; empty where the system does not tell."""
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""


def place(folder: Path, slot: str) -> Path:
    """Where the agent of `slot`, `<namespace>/<name>`, vouches for its writers; no two slots share a file."""
    return folder / "dead-man" / f"{quote(slot, safe='')}.json"


def read(path: Path) -> Sign | None:
    """What stands in the file; None where there is none, or nothing that can be read: nobody vouches."""
    try:
        raw = json.loads(path.read_text())
        return Sign(int(raw["epoch"]), str(raw["boot_id"]), float(raw["boottime_deadline"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write(path: Path, sign: Sign) -> None:
    """Replace the file whole: a reader finds the old sign or the new one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_text(json.dumps(asdict(sign)))
    fresh.replace(path)
