"""What a process of `catalyst dev` asks of the kernel for itself (prctl(2)); nothing where there is no Linux."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """Ask for SIGTERM when the parent dies."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def rename(name: str) -> None:
    """What `ps` and `top` show; at most 15 characters."""
    if _libc is not None:
        _libc.prctl(_PR_SET_NAME, name[:15].encode())
