"""Cells that are reached by way of somebody who need not be trusted: who carries a message can lose it, and nothing else.

What is asked is signed with our key, and what is answered with the cell's, over the question's own signature (RFC 8945,
section 5.3): an answer that was made up, changed, or given to another question does not count.
"""

import dns.exception
import dns.message
from catalyst_sdk import Temporary
from catalyst_sdk.witness import Carry

from .cells import PROVIDER, Configured, DnsCells


class RelayedCells(DnsCells):
    """Every message, questions too, as bytes by `carry`."""

    def __init__(self, configured: Configured, carry: Carry) -> None:
        super().__init__(configured)
        self._carry = carry

    async def _by_udp(self, cell: str, message: dns.message.Message) -> dns.message.Message:
        raise Temporary("who carries a message has one way to do it", provider=PROVIDER)

    async def _ask(self, cell: str, message: dns.message.Message) -> dns.message.Message:
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
        return answer
