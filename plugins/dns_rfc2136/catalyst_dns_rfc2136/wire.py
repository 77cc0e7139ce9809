"""Messages to the server and what its answers are worth: only the four errors of the SDK, `Unsigned` and `Refusal` leave here.

Everything is signed by TSIG (RFC 8945), questions too, and an answer counts only if its signature holds. An answer without
one may come from anybody, or from a server that does not know our key: it proves nothing, also not that a zone is absent.
"""

import asyncio
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.xfr
from catalyst_sdk import Permanent, Temporary
from dns.rcode import Rcode
from dns.transaction import TransactionManager

PROVIDER = "dns_rfc2136"
MOST_BY_UDP = 1232
"""Octets of a message that fits through every path without fragments (DNS flag day 2020)."""
_REFUSED_KEYS = (dns.tsig.PeerBadKey, dns.tsig.PeerBadSignature, dns.tsig.PeerBadTruncation)
_ACTION_KEY = (
    "give the plugin the name, algorithm and secret of a key that the server knows and lets update and transfer"
)
Keys = Callable[[], Awaitable[dns.tsig.Key]]
"""Made for each call, so that a key that was exchanged is used at once."""


class Unsigned(Exception):
    """An answer that nobody has signed; `code` is what it says."""

    def __init__(self, code: Rcode) -> None:
        super().__init__(dns.rcode.to_text(code))
        self.code = code

    def failure(self) -> Temporary:
        """What the host is told."""
        return Temporary(
            f"the server's answer {self} is not signed, so it may not be believed: it may not know our key",
            provider=PROVIDER,
            provider_code=str(self),
            user_action=_ACTION_KEY,
        )


class Refusal(Exception):
    """A signed answer other than NOERROR."""

    def __init__(self, code: Rcode) -> None:
        super().__init__(dns.rcode.to_text(code))
        self.code = code


class Line:
    """The way to one server.

    host, port    where it listens, by UDP and TCP
    try_seconds   for one answer
    """

    def __init__(self, host: str, port: int, keys: Keys, try_seconds: float) -> None:
        self._host = host
        self._port = port
        self._keys = keys
        self._seconds = try_seconds

    async def ask(self, message: dns.message.Message) -> dns.message.Message:
        """The signed answer; a time-out says nothing about whether an update was made.

        raises   Refusal, Unsigned, Temporary, Permanent("CREDENTIALS_REJECTED"); dns.exception.TooBig
        """
        message.use_tsig(await self._keys())
        wire = message.to_wire(max_size=65535)
        answer = opened(message, await self._bytes(wire, message.id))
        if answer.rcode() != dns.rcode.NOERROR:
            raise Refusal(answer.rcode())
        return answer

    async def is_served(self, zone: str) -> bool:
        """Whether the server answers for this very zone with authority. Asked without a key, so it only ever is a hint."""
        query = dns.message.make_query(zone, "SOA")
        query.flags &= ~dns.flags.RD
        answer = _read(await self._bytes(query.to_wire(), query.id))
        is_soa = any(r.name == query.question[0].name and r.rdtype == dns.rdatatype.SOA for r in answer.answer)
        if answer.rcode() == dns.rcode.SERVFAIL:
            raise Temporary(f"the server cannot answer for {zone} at present (SERVFAIL)", provider=PROVIDER)
        return is_soa and bool(answer.flags & dns.flags.AA)

    async def transfer(self, zone: TransactionManager, serial: int | None) -> None:
        """Bring `zone` to the state of the server: what changed since `serial` (IXFR), or all (None: AXFR).

        raises   Refusal, Unsigned, Temporary, Permanent("CREDENTIALS_REJECTED"); Stale where the serial is unknown there
        """
        query, _ = dns.xfr.make_query(zone, serial=serial)
        query.use_tsig(await self._keys())
        try:
            async with asyncio.timeout(self._seconds * 3):
                await self._transferred(zone, query, serial)
        except dns.xfr.TransferError as refused:
            raise Refusal(Rcode(refused.rcode)) from refused
        except (OSError, EOFError, TimeoutError) as error:
            raise _lost(error) from error
        except (dns.exception.DNSException, KeyError, ValueError) as error:
            raise Stale(str(error) or type(error).__name__) from error

    async def _transferred(
        self, zone: dns.transaction.TransactionManager, query: dns.message.Message, serial: int | None
    ) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(_framed(query.to_wire()))
            with dns.xfr.Inbound(zone, query.question[0].rdtype, serial) as inbound:
                context: Any = None
                done = False
                while not done:
                    answer = opened(query, await _one(reader), transfer=True, context=context, many=serial is not None)
                    if answer.rcode() != dns.rcode.NOERROR and context is None and not answer.had_tsig:
                        raise Unsigned(answer.rcode())
                    done = inbound.process_message(answer)
                    context = answer.tsig_ctx
        finally:
            writer.close()

    async def _bytes(self, wire: bytes, number: int) -> bytes:
        """By UDP where it fits, by TCP else, or where the answer did not fit."""
        try:
            async with asyncio.timeout(self._seconds):
                if len(wire) <= MOST_BY_UDP:
                    answer = await _by_udp(self._host, self._port, wire, number)
                    if not answer[2] & 0x02:  # not cut short
                        return answer
                return await self._by_tcp(wire)
        except (OSError, EOFError, TimeoutError) as error:
            raise _lost(error) from error

    async def _by_tcp(self, wire: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(_framed(wire))
            return await _one(reader)
        finally:
            writer.close()


class Stale(Exception):
    """What we remember of a zone cannot be brought up to date: it has to be read anew."""


def opened(
    query: dns.message.Message, wire: bytes, *, transfer: bool = False, context: Any = None, many: bool = False
) -> dns.message.Message:
    """An answer whose signature holds. Raises Unsigned, Temporary, Permanent("CREDENTIALS_REJECTED")."""
    try:
        return dns.message.from_wire(
            wire, keyring=query.keyring, request_mac=query.mac, xfr=transfer, tsig_ctx=context, multi=transfer,
            one_rr_per_rrset=many,
        )  # fmt: skip
    except (dns.tsig.PeerBadTime, dns.tsig.BadTime) as error:
        raise _clocks(wire) from error
    except _REFUSED_KEYS as error:
        code = type(error).__name__.removeprefix("Peer").upper()
        raise Permanent(
            "CREDENTIALS_REJECTED",
            f"the server does not take our key: {code}",
            provider=PROVIDER,
            provider_code=code,
            user_action=_ACTION_KEY,
        ) from error
    except dns.exception.DNSException as error:
        answer = _read(wire)
        if not answer.had_tsig:
            raise Unsigned(answer.rcode()) from error
        raise Temporary(
            f"the server's answer does not bear our key's signature: {type(error).__name__}", provider=PROVIDER
        ) from error


def _read(wire: bytes) -> dns.message.Message:
    try:
        return dns.message.from_wire(wire, keyring=False)
    except dns.exception.DNSException as error:
        raise Temporary("the server's answer is no DNS message", provider=PROVIDER) from error


def _clocks(wire: bytes) -> Temporary:
    """The signature came at a wrong time: both clocks are named, since either may be the wrong one."""
    tsig: Any = _read(wire).tsig
    said = tsig[0].other
    theirs = int.from_bytes(said[:6], "big") if len(said) == 6 else tsig[0].time_signed
    ours = int(time.time())  # dnspython signs by this very clock
    server_time, our_time = _moment(theirs), _moment(ours)
    return Temporary(
        f"clocks differ by {abs(theirs - ours)} s (BADTIME): the server's says {server_time}, ours {our_time}",
        provider=PROVIDER,
        provider_code="BADTIME",
        user_action="set the clock that is wrong; signatures allow 300 s",
        server_time=server_time,
        our_time=our_time,
    )


def _moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _lost(error: BaseException) -> Temporary:
    what = "in time" if isinstance(error, TimeoutError) else f"({type(error).__name__})"
    return Temporary(f"the server did not answer {what}", provider=PROVIDER)


def _framed(wire: bytes) -> bytes:
    return struct.pack("!H", len(wire)) + wire


async def _one(reader: asyncio.StreamReader) -> bytes:
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


async def _by_udp(host: str, port: int, wire: bytes, number: int) -> bytes:
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Ear(heard, number), remote_addr=(host, port))
    try:
        transport.sendto(wire)
        return await heard
    finally:
        transport.close()


class _Ear(asyncio.DatagramProtocol):
    """Waits for the answer with the number of the question."""

    def __init__(self, heard: "asyncio.Future[bytes]", number: int) -> None:
        self._heard = heard
        self._number = number

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if len(data) >= 12 and int.from_bytes(data[:2], "big") == self._number and not self._heard.done():
            self._heard.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._heard.done():
            self._heard.set_exception(exc)
