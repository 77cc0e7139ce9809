"""TCP connections to cells, kept for a while after an answer: to open one costs more than to ask by it.

Invariants
  one at a time   a connection carries one message and its answer; whoever gives up on an answer closes it, so that no late one is
                  taken for the next;
  not for long    one that was idle for longer than `IDLE` is not used any more: servers close theirs after five seconds and more.

Sockets and no streams: these belong to no loop, and cost half.
"""

import asyncio
import socket
import time
from dataclasses import dataclass

import dns.inet

IDLE = 4.0
"""Seconds after the last answer."""
KEPT = 8
"""Idle connections to one cell."""
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """repeated   whether the message was sent before, by a connection that ended without an answer: it may have come twice"""

    wire: bytes
    repeated: bool = False


class _Line:
    """One connection; it ends with whoever holds it last."""

    def __init__(self, open_socket: socket.socket) -> None:
        self._socket = open_socket
        self._answered = 0.0

    def __del__(self) -> None:
        self._socket.close()

    async def asked(self, message: bytes) -> bytes:
        """The answer to a message. Raises OSError, EOFError."""
        await asyncio.get_running_loop().sock_sendall(self._socket, len(message).to_bytes(2) + message)
        head = await self._exactly(2)
        length = int.from_bytes(head[:2])
        found = await self._exactly(length, head[2:])
        self._answered = time.monotonic() if len(found) == length else 0.0
        return found[:length]

    def is_usable(self) -> bool:
        """Whether it was used a moment ago and the server has neither ended it nor said anything unasked."""
        if not self._answered or time.monotonic() - self._answered > IDLE:
            return False
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    async def _exactly(self, count: int, begun: bytes = b"") -> bytes:
        """At least so many octets."""
        loop, found = asyncio.get_running_loop(), begun
        while len(found) < count:
            more = await loop.sock_recv(self._socket, 65_537)
            if not more:
                raise EOFError
            found += more
        return found


async def _opened(address: Address) -> _Line:
    line = _Line(made := socket.socket(dns.inet.af_for_address(address[0]), socket.SOCK_STREAM))
    made.setblocking(False)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await asyncio.get_running_loop().sock_connect(made, address)
    return line


class Lines:
    """The idle connections of one witness."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[_Line]] = {}

    async def asked(self, host: str, port: int, message: bytes) -> Answer:
        """A message there, and the answer to it, whatever it says. Raises OSError, EOFError; whoever waits sets the time."""
        address, repeated = (host, port), False
        while (line := self._taken(address)) is not None:
            try:
                answer = await line.asked(message)
            except (OSError, EOFError):
                repeated = True  # the server ended it just now
                break
            self._keep(address, line)
            return Answer(answer)
        line = await _opened(address)
        answer = await line.asked(message)
        self._keep(address, line)
        return Answer(answer, repeated)

    def _taken(self, address: Address) -> _Line | None:
        idle = self._idle.get(address, [])
        while idle:
            if (line := idle.pop()).is_usable():
                return line
        return None

    def _keep(self, address: Address, line: _Line) -> None:
        idle = self._idle.setdefault(address, [])
        if len(idle) < KEPT:
            idle.append(line)
