"""A root of its own for one process, as a container has it: nothing is there but what was bound, and nobody can write into it.

Run as root: `rooted.py ROOT USER BIND,BIND… WRITABLE,WRITABLE… PROGRAM …`, in a namespace of its own (`unshare --mount`).
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
CAPABILITIES = 41
"""As many as Linux 6 knows; to drop one that is unknown is an error that changes nothing."""


def mount(*words: str | Path) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def bound(root: Path, path: Path) -> None:
    """Show `path` at its own place below `root`, for reading."""
    there = root / path.relative_to("/")
    if path.is_dir():
        there.mkdir(parents=True, exist_ok=True)
    else:
        there.parent.mkdir(parents=True, exist_ok=True)
        there.touch()
    mount("--bind", path, there)
    if not path.is_relative_to("/dev"):
        mount("-o", "remount,ro,bind,nosuid", there)


BASE = [Path(one) for one in ("/dev/null", "/dev/urandom", "/usr/share/zoneinfo", "/etc/ssl")]
"""What every base of an image has beside the libraries; `python:slim` installs time zones and certificates."""


def furnished(root: Path, user: int, shown: list[Path], writable: list[Path]) -> None:
    """Make the root."""
    mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", root)
    for name in ("lib", "lib64", "usr/lib", "usr/lib64"):
        path = Path("/") / name
        if path.is_symlink():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(path.readlink())
        elif path.is_dir():
            bound(root, path)
    for path in writable:  # first: what is shown may lie below one
        there = root / path.relative_to("/")
        there.mkdir(parents=True, exist_ok=True)
        mount("-t", "tmpfs", "-o", f"mode=700,uid={user},gid={user}", "tmpfs", there)
    for path in (*BASE, *shown):
        bound(root, path)
    (root / "proc").mkdir()
    mount("--rbind", "/proc", root / "proc")
    mount("-o", "remount,ro", root)


def entered(root: Path, user: int) -> None:
    """Go in, and become `user` without any privilege, now or by what is run."""
    os.chroot(root)
    os.chdir("/var/lib/catalyst")
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


if __name__ == "__main__":
    root, user, shown, writable, *program = sys.argv[1:]
    furnished(
        Path(root), int(user), [Path(one) for one in shown.split(",")], [Path(one) for one in writable.split(",")]
    )
    entered(Path(root), int(user))
    os.execve(program[0], program, dict(os.environ))
