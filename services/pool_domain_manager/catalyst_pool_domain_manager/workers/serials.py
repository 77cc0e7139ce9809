"""The one question that a sweep asks about every zone at every server, made cheap: SOA over one socket a server.

Ten thousand zones at three servers are thirty thousand answers in five minutes. A whole message of dnspython costs about a
millisecond each, so this reads no more of an answer than it needs (RFC 1035, section 4.1; RFC 4034, section 3.1). What looks odd
here is looked at whole by `sights`, which also checks signatures.
"""

import asyncio
import secrets
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

PATIENCE = 2.0
TRIES = 2
AT_ONCE = 64
"""Questions under way at one server."""
_SOA, _RRSIG = 6, 46
_OPT = struct.pack("!BHHIH", 0, 41, 1232, 0x8000, 0)
"""EDNS with 1,232 octets, and DNSSEC records wanted (RFC 6891, RFC 3225)."""
_AA, _TC, _RCODE = 0x0400, 0x0200, 0x000F


@dataclass(frozen=True, slots=True)
class Light:
    """What a server says at first sight. `serial` None: no SOA of the zone, with authority and in one piece."""

    serial: int | None
    is_signed: bool = False


class Serials(asyncio.DatagramProtocol):
    """Asks one server. Use it as an async context."""

    def __init__(self, place: tuple[str, int]) -> None:
        self._place = place
        self._waiting: dict[int, tuple[bytes, asyncio.Future[Light]]] = {}
        self._number = secrets.randbelow(0x10000)
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> "Serials":
        loop = asyncio.get_running_loop()
        # Without a route there is no socket, and no answer either.
        with suppress(OSError):
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, remote_addr=self._place)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._transport is not None:
            self._transport.close()

    async def ask(self, origin: str) -> Light | None:
        """What the server says of the zone; None where it gives no answer."""
        if self._transport is None:
            return None
        name = _wire_name(origin)
        async with self._turns:
            for _ in range(TRIES):
                with suppress(TimeoutError):
                    async with asyncio.timeout(PATIENCE):
                        return await self._sent(self._transport, name)
        return None

    def datagram_received(self, data: bytes, addr: object) -> None:
        """An answer; one that was not asked for, or of another name, is nobody's."""
        if len(data) < 12:
            return
        name, future = self._waiting.get(int.from_bytes(data[:2]), (b"", None))
        if future is None or future.done() or data[12 : 12 + len(name)].lower() != name:
            return
        try:
            future.set_result(read(data))
        except (struct.error, IndexError):
            future.set_result(Light(None))

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there; the question times out."""

    async def _sent(self, transport: asyncio.DatagramTransport, name: bytes) -> Light:
        self._number = (self._number + 1 + secrets.randbelow(16)) & 0xFFFF
        number = self._number
        future: asyncio.Future[Light] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (name, future)
        try:
            question = name + struct.pack("!HH", _SOA, 1)
            transport.sendto(struct.pack("!HHHHHH", number, 0, 1, 0, 0, 1) + question + _OPT)
            return await future
        finally:
            del self._waiting[number]


def read(data: bytes) -> Light:
    """The serial of an answer to a question for an SOA. Raises struct.error, IndexError where it is cut."""
    _, flags, _, answers, _, _ = struct.unpack_from("!HHHHHH", data)
    if flags & _RCODE or not flags & _AA or flags & _TC:
        return Light(None)
    at = _after_name(data, 12) + 4
    serial, signed = None, False
    for _ in range(answers):
        at = _after_name(data, at)
        kind, _, _, length = struct.unpack_from("!HHIH", data, at)
        at += 10
        if kind == _SOA:
            (serial,) = struct.unpack_from("!I", data, _after_name(data, _after_name(data, at)))
        elif kind == _RRSIG:
            signed = signed or struct.unpack_from("!H", data, at)[0] == _SOA
        at += length
    return Light(serial, signed)


async def all_of(
    places: Mapping[str, tuple[str, int]], origins: Mapping[str, tuple[str, ...]]
) -> dict[tuple[str, str], Light | None]:  # fmt: skip
    """What each server says of each of its zones, by server and zone.

    places    address and port by server
    origins   zones by server
    """
    found: dict[tuple[str, str], Light | None] = {}

    async def at(server: str) -> None:
        async with Serials(places[server]) as asker:
            answers = await asyncio.gather(*(asker.ask(origin) for origin in origins[server]))
        found.update({(server, origin): answer for origin, answer in zip(origins[server], answers, strict=True)})

    await asyncio.gather(*(at(server) for server in places))
    return found


def _wire_name(origin: str) -> bytes:
    """A name of our own zones, which are letters, digits, hyphens and underscores."""
    labels = origin.rstrip(".").lower().split(".")
    return b"".join(bytes([len(label)]) + label.encode("ascii") for label in labels) + b"\0"


def _after_name(data: bytes, at: int) -> int:
    while length := data[at]:
        if length >= 0xC0:
            return at + 2
        at += length + 1
    return at + 1
