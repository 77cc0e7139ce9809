"""Ports are checked before anything starts; a clash names who holds the port."""

import socket
from collections.abc import Iterable

import psutil


class PortsTaken(Exception):
    """Some ports are in use; each with its part and the process that holds it."""

    def __init__(self, clashes: list[tuple[str, int, str]]) -> None:
        self.clashes = clashes
        super().__init__("; ".join(f"{port} ({part}) is held by {holder}" for part, port, holder in clashes))


def check(ports: Iterable[tuple[str, int]]) -> None:
    """Raises PortsTaken with every clash at once."""
    clashes = [(part, port, _holder(port)) for part, port in ports if not _free(port, udp=part in ("dns", "powerdns"))]
    if clashes:
        raise PortsTaken(clashes)


def _free(port: int, *, udp: bool) -> bool:
    kinds = [socket.SOCK_STREAM, socket.SOCK_DGRAM] if udp else [socket.SOCK_STREAM]
    for kind in kinds:
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                # A port in TIME_WAIT is free for a server, as the servers themselves see it.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def _holder(port: int) -> str:
    try:
        connections = psutil.net_connections("inet")
    except psutil.AccessDenied:
        return "a process of another user"
    for connection in connections:
        if connection.laddr and connection.laddr.port == port and connection.pid:
            try:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
            except psutil.NoSuchProcess:
                return "a process that has just ended"
    return "an unknown process"
