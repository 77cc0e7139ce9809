"""DNS on the wire: UDP and TCP on one port, answers signed where the question was."""

import asyncio
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.tsig
import dns.update

from .answers import answer
from .authority import Authority
from .update import update

_PLAIN_UDP = 512
_MOST_UDP = 1232
_TCP_IDLE = 10.0
"""Seconds after which an idle TCP connection is closed."""
Keyring = Mapping[dns.name.Name, dns.tsig.Key]


class DnsServer:
    """Answers for an authority."""

    def __init__(self, authority: Authority, keyring: Keyring | None = None) -> None:
        self._authority = authority
        self._keyring = dict(keyring or {})
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; the port, the same for UDP and TCP."""
        self._tcp = await asyncio.start_server(self._serve_tcp, host, port)
        port = int(self._tcp.sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), local_addr=(host, port))
        self._udp = transport
        return port

    async def stop(self) -> None:
        """Stop listening."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._tcp.wait_closed(), 1)

    def respond(self, wire: bytes, limit: int) -> bytes | None:
        """The answer to one message; None where nothing can be said."""
        try:
            message = dns.message.from_wire(wire, keyring=self._keyring)
        except dns.message.UnknownTSIGKey:
            return _refusal(wire, dns.rcode.NOTAUTH)
        except (dns.tsig.BadSignature, dns.tsig.BadTime, dns.tsig.PeerError):
            return _refusal(wire, dns.rcode.NOTAUTH)
        except (dns.exception.DNSException, ValueError, struct.error):
            return _refusal(wire, dns.rcode.FORMERR)
        if message.flags & dns.flags.QR:
            return None
        if isinstance(message, dns.update.UpdateMessage):
            response = update(self._authority, message)
        else:
            response = answer(self._authority, message)
        size = max(_PLAIN_UDP, min(message.payload, _MOST_UDP)) if message.edns >= 0 else _PLAIN_UDP
        return _wire(response, min(size, limit) if limit < 65535 else limit)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await asyncio.wait_for(reader.readexactly(2), _TCP_IDLE)
                wire = await asyncio.wait_for(reader.readexactly(struct.unpack("!H", head)[0]), _TCP_IDLE)
                response = self.respond(wire, 65535)
                if response is None:
                    break
                writer.write(struct.pack("!H", len(response)) + response)
                await writer.drain()
        except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        response = self._server.respond(data, _MOST_UDP)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


def _wire(response: dns.message.Message, limit: int) -> bytes:
    """The message; cut, with TC set, where it does not fit (RFC 2181, section 9)."""
    try:
        return response.to_wire(max_size=limit)
    except dns.exception.TooBig:
        response.answer, response.authority, response.additional = [], [], []
        response.flags |= dns.flags.TC
        return response.to_wire(max_size=limit)


def _refusal(wire: bytes, code: dns.rcode.Rcode) -> bytes | None:
    if len(wire) < 12:
        return None
    message_id, flags = struct.unpack("!HH", wire[:4])
    if flags & int(dns.flags.QR):
        return None
    return struct.pack("!HHHHHH", message_id, (flags & 0x7900) | int(dns.flags.QR) | int(code), 0, 0, 0, 0)
