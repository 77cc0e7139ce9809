"""Ways by which a message reaches a cell: straight, or carried by somebody who need not be trusted.

Who carries a message can lose it, and nothing else. What is asked is signed with our key, and what is answered with the
cell's, over the question's own signature (RFC 8945, section 5.3): an answer that was made up, changed, or given to another
question does not count.
"""

import asyncio
from typing import Protocol

import dns.asyncquery
import dns.exception
import dns.message
from catalyst_sdk import Temporary
from catalyst_sdk.witness import Carry

from .configured import PROVIDER, Configured
from .lines import Lines


class Way(Protocol):
    """To the cells of one witness. Raises Temporary where no answer comes that counts."""

    async def by_udp(self, cell: str, message: dns.message.Message) -> dns.message.Message:
        """One datagram there and back, in half of the patience, so that there is time for `ask`."""
        ...

    async def ask(self, cell: str, message: dns.message.Message) -> tuple[dns.message.Message, bool]:
        """As surely as this way can; and whether it may have come there twice."""
        ...


class Direct:
    """By our own sockets."""

    def __init__(self, configured: Configured) -> None:
        self._c = configured
        self._lines = Lines()

    async def by_udp(self, cell: str, message: dns.message.Message) -> dns.message.Message:
        host, port = self._c.servers[cell].address
        try:
            return await dns.asyncquery.udp(
                message, host, timeout=self._c.timeout / 2, port=port, raise_on_truncation=True
            )
        except (dns.exception.DNSException, OSError, EOFError) as error:
            raise Temporary(f"{cell} does not answer by UDP: {type(error).__name__}", provider=PROVIDER) from error

    async def ask(self, cell: str, message: dns.message.Message) -> tuple[dns.message.Message, bool]:
        host, port = self._c.servers[cell].address
        try:
            # TCP: an answer that is lost costs a whole time-out, and a connection tells at once that a cell is down.
            async with asyncio.timeout(self._c.timeout):
                told = await self._lines.asked(host, port, message.to_wire())
            answer = dns.message.from_wire(told.wire, keyring=message.keyring, request_mac=message.mac)
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
            raise Temporary(f"{cell} does not answer: {type(error).__name__}", provider=PROVIDER) from error
        if not message.is_response(answer):
            raise Temporary(f"{cell} answers another question", provider=PROVIDER)
        return answer, told.repeated


class Carried:
    """Every message, questions too, as bytes by `carry`."""

    def __init__(self, configured: Configured, carry: Carry) -> None:
        self._c = configured
        self._carry = carry

    async def by_udp(self, cell: str, message: dns.message.Message) -> dns.message.Message:
        raise Temporary("who carries a message has one way to do it", provider=PROVIDER)

    async def ask(self, cell: str, message: dns.message.Message) -> tuple[dns.message.Message, bool]:
        key = self._c.servers[cell].key
        if message.keyring is None:
            message.use_tsig(key)
        try:
            carried = await self._carry(cell, message.to_wire())
            answer = dns.message.from_wire(carried, keyring=key, request_mac=message.mac)
        except (dns.exception.DNSException, ValueError) as error:
            raise Temporary(
                f"{cell} does not answer through a peer: {type(error).__name__}", provider=PROVIDER
            ) from error
        if not answer.had_tsig or not message.is_response(answer):
            raise Temporary(f"what was brought back is no answer of {cell}", provider=PROVIDER)
        return answer, False


async def exchanged(host: str, port: int, message: bytes) -> bytes:
    """A message as bytes by TCP, and the answer to it; whatever it says."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(len(message).to_bytes(2) + message)
        await writer.drain()
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
    finally:
        writer.close()
