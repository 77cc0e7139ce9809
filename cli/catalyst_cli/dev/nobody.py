"""Servers that must not run as root: where dev does, they become the user nobody, who reaches their own folder and no other."""

import os
import shutil
import stat
import sys
from pathlib import Path

NOBODY = 65534


class CannotDescend(Exception):
    """As root, this cannot be run as somebody else; the text says why, for the person at the terminal."""


def prefix(program: str) -> list[str]:
    """What stands before the command of such a server; nothing where dev does not run as root. Raises CannotDescend."""
    if os.geteuid() != 0:
        return []
    if sys.platform != "linux" or not shutil.which("setpriv"):
        raise CannotDescend(f"{program} does not run as root, and setpriv is not here (package util-linux)")
    # A change of the user forgets whose death is to end the process.
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=INT"]


def open_way(folder: Path, home: Path, program: str) -> None:
    """As root: let nobody come as far as `home` in dev's `folder`, and read nothing on the way. Raises CannotDescend."""
    if os.geteuid() != 0:
        return
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    for beside in folder.iterdir():
        if beside.is_dir() and beside != home:
            beside.chmod(0o700)
    folder.chmod(0o711)
    closed = [str(path) for path in folder.parents if not path.stat().st_mode & stat.S_IXOTH]
    if closed:
        raise CannotDescend(
            f"as root, {program} runs as the user nobody, who cannot enter {closed[0]}; choose a --data-dir elsewhere"
        )
