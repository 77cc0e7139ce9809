"""Addresses of the simulated load balancers: 127.7.x.y, each given to one cluster and not reused while in use."""

import errno
import hashlib
import socket
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

PORTS = (80, 8080)
"""The port of HTTP, and the one where the operating system keeps that for itself."""
TRIES = 64


class NoAddress(Exception):
    """No address of 127.7.0.0/16 can be bound here."""


def fault_of(address: str, port: int) -> int | None:
    """None if it can be bound at this moment, else the error number."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno
    return None


def allocate(
    folder: Path, used: Collection[str], fault_of: Callable[[str, int], int | None] = fault_of
) -> tuple[str, int]:
    """An address that nobody answers on, and the port that its listener will have. Raises NoAddress."""
    for port in PORTS:
        for address in _candidates(folder, used):
            if (fault := fault_of(address, port)) is None:
                return address, port
            if fault in (errno.EACCES, errno.EPERM):
                break
    raise NoAddress("no loopback address of 127.7.0.0/16 can be bound")


def has_loopback_range() -> bool:
    """Whether addresses besides 127.0.0.1 are there (on macOS they have to be added one by one)."""
    return fault_of("127.7.0.1", 0) is None


def _candidates(folder: Path, used: Collection[str]) -> Iterator[str]:
    # Two sandboxes on one machine start at different places, so they rarely meet; binding settles it when they do.
    start = int.from_bytes(hashlib.sha256(str(folder.resolve()).encode()).digest()[:2])
    found = 0
    for step in range(254 * 254):
        high, low = divmod((start + step) % (254 * 254), 254)
        address = f"127.7.{high + 1}.{low + 1}"
        if address not in used:
            yield address
            found += 1
        if found == TRIES:
            return
