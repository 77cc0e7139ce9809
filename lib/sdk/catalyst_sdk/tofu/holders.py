"""Who holds a cluster's state while the tool changes it: written into the sealed state before the tool is started.

On the machine where the tool runs its process and its folder tell all. Elsewhere the sealed state is all there is to see.

What holds
  intent first   no command that changes the cloud is started before its holder is in the sealed state;
  let go         the state that a command left behind and the end of its holding are one write;
  no guess       a holder of another machine is dead only when that machine says so, or has been waited for long enough.
"""

import os
import sys
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PROCESSES = Path("/proc/self/ns/pid")


@dataclass(frozen=True, slots=True)
class Holder:
    """One command that changes the cloud, from before its start until its state is sealed."""

    machine: str
    boot: str
    """The machine's present life: its processes end with it."""
    token: str
    """Differs for every command."""

    def is_at(self, machine: str) -> bool:
        """Whether it is or was a process of this machine, so that its folder can be looked into."""
        return self.machine == machine


def holder(machine: str) -> Holder:
    """For a command that begins now."""
    return Holder(machine, boot(), uuid.uuid4().hex)


def machine_name(configured: str = "") -> str:
    """What this machine is called among those that share the database."""
    return configured or os.uname().nodename


def boot() -> str:
    """Of the present life of this machine, or of the container that looks like one; empty where nothing tells."""
    if sys.platform != "linux":
        return ""
    with suppress(OSError):
        return f"{BOOT_ID.read_text().strip()} {PROCESSES.readlink()}"
    return ""
