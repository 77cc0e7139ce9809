"""DNS on the wire: UDP and TCP on one port, answers signed where the question was."""

import asyncio
import logging
import struct
from contextlib import suppress
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.update
from dns.rdatatype import RdataType

from . import tsig
from .answers import PAYLOAD, answer
from .authority import Authority
from .remembered import Remembered
from .tsig import Keyring
from .update import update
from .withheld import Withheld

_PLAIN_UDP = 512
_HEADER = 12
_WHOLE = 65535
_TCP_IDLE = 10.0
"""Seconds after which an idle TCP connection is closed."""
_MOST_CONNECTIONS = 200
_LOG = logging.getLogger(__name__)


TRIES = 8
"""Ports that are tried where any will do: one that is free for TCP may be somebody's for UDP."""


class DnsServer:
    """Answers for an authority.

    keyring     who may change it by UPDATE
    withheld    names that are not answered yet
    remembered  answers that need not be made again; None: each is made anew, as a cell's must be
    """

    def __init__(
        self, authority: Authority, keyring: Keyring | None = None, withheld: Withheld | None = None,
        remembered: Remembered | None = None,
    ) -> None:  # fmt: skip
        self._authority = authority
        self._withheld = withheld
        self._remembered = remembered
        self._keyring = dict(keyring or {})
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self._served: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}
        """Connections that are open, and who serves each."""

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, the same for UDP and TCP. 0: any that is free for both. Raises OSError where it is taken."""
        for _ in range(TRIES - 1 if port == 0 else 0):
            with suppress(OSError):
                return await self._listen(host, port)
        return await self._listen(host, port)

    async def _listen(self, host: str, port: int) -> int:
        tcp = await asyncio.start_server(self._serve_tcp, host, port)
        port = int(tcp.sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        try:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(host, port))
        except OSError:
            tcp.close()
            raise
        self._tcp = tcp
        return port

    async def stop(self) -> None:
        """Stop listening, and end the connections that somebody keeps open."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            for writer in self._served.values():
                writer.close()
            if self._served:
                await asyncio.wait(self._served, timeout=1)
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._tcp.wait_closed()

    def respond(self, wire: bytes, *, datagram: bool) -> bytes | None:
        """The answer to one message; None where nothing can be said."""
        try:
            return self._response(wire, datagram)
        except Exception:  # the outermost place: whatever a stranger sends, the next one is served
            _LOG.exception("a message could not be answered")
            return _bare(wire, dns.rcode.SERVFAIL)

    def _response(self, wire: bytes, datagram: bool) -> bytes | None:
        known = self._remembered.answer(wire, datagram=datagram) if self._remembered is not None else None
        return known or self._made(wire, datagram)

    def _made(self, wire: bytes, datagram: bool) -> bytes | None:
        try:
            message = dns.message.from_wire(wire, keyring=self._keyring)
        except tsig.BROKEN as error:
            return tsig.refusal(wire, self._keyring, error).to_wire()
        except (dns.exception.DNSException, ValueError, struct.error):
            return _bare(wire, dns.rcode.FORMERR)
        if message.flags & dns.flags.QR:
            return None
        if isinstance(message, dns.update.UpdateMessage):
            response = update(self._authority, message)
            if self._withheld is not None:
                self._withheld.heard(message, response)
        elif self._withheld is not None and self._withheld.holds(message):
            response = dns.message.make_response(message)
            response.set_rcode(dns.rcode.SERVFAIL)
        else:
            response = answer(self._authority, message)
            made = _wire(response, _room(message) if datagram else _WHOLE)
            if self._remembered is not None and not _turns(response):
                self._remembered.keep(wire, made, datagram=datagram)
            return made
        return _wire(response, _room(message) if datagram else _WHOLE)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        self._served[task] = writer
        try:
            # Somebody who holds connections open must not keep out the others.
            while len(self._served) <= _MOST_CONNECTIONS:
                (length,) = struct.unpack("!H", await _exactly(reader, 2))
                wire = await _exactly(reader, length)
                response = self.respond(wire, datagram=False)
                if response is None:
                    break
                writer.write(struct.pack("!H", len(response)) + response)
                async with asyncio.timeout(_TCP_IDLE):
                    await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            pass
        finally:
            del self._served[task]
            writer.close()


async def _exactly(reader: asyncio.StreamReader, octets: int) -> bytes:
    async with asyncio.timeout(_TCP_IDLE):
        return await reader.readexactly(octets)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        response = self._server.respond(data, datagram=True)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


def _turns(response: dns.message.Message) -> bool:
    """Whether each answer is another one: several addresses come in another order each time, to share what they carry."""
    return any(len(rrset) > 1 for rrset in response.answer if rrset.rdtype in (RdataType.A, RdataType.AAAA))


def _room(query: dns.message.Message) -> int:
    return max(_PLAIN_UDP, min(query.payload, PAYLOAD)) if query.edns >= 0 else _PLAIN_UDP


def _wire(response: dns.message.Message, limit: int) -> bytes:
    """The message; emptied, with TC set, where it does not fit (RFC 2181, section 9)."""
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer, response.authority, response.additional = [], [], []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=limit)


def _bare(wire: bytes, code: dns.rcode.Rcode) -> bytes | None:
    """An answer of a header only, to what could not be read."""
    if len(wire) < _HEADER:
        return None
    message_id, flags = struct.unpack("!HH", wire[:4])
    if flags & int(dns.flags.QR):
        return None
    return struct.pack("!HHHHHH", message_id, (flags & 0x7900) | int(dns.flags.QR) | int(code), 0, 0, 0, 0)
