"""Asking before something is spent or lost; only where somebody can answer."""

import sys

from .failures import Failure


def confirm(question: str, *, yes: bool) -> None:
    """Raises Failure unless somebody says yes; without a terminal nobody is asked, and scripts mean what they say."""
    if yes or not sys.stdin.isatty():
        return
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failure("nothing was done", next_step="--yes says yes in advance")
