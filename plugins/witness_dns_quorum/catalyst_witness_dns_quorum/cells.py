"""A cell is a primary DNS server; a compare-and-swap is one UPDATE with a value prerequisite.

A value prerequisite compares the whole RRset (RFC 2136 section 3.2.3), an update is atomic (3.7) and on stable storage
before the answer (3.5). The value is one TXT string, handed over quoted: a bare space would make several strings.
"""

import asyncio
import base64
import hashlib
import re
import time
from functools import lru_cache

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.update
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.witness import Carry, CellIdentity, Swap
from dns.rdtypes.ANY.TXT import TXT

from .configured import PROVIDER, Configured
from .ways import Carried, Direct, Way, exchanged

TTL = 0
_KEPT = re.compile(rb"[a-z0-9 =.:,/-]{1,255}")
"""Values that every server keeps and compares as they are: PowerDNS compares without case, a string has 255 octets."""


class DnsCells:
    """The cells of one witness."""

    def __init__(self, configured: Configured, way: Way | None = None) -> None:
        self._c = configured
        self._way = way or Direct(configured)

    def cells(self) -> tuple[str, ...]:
        """Names of the cells."""
        return tuple(self._c.servers)

    def address(self, cell: str) -> tuple[str, int]:
        """Where a cell answers."""
        return self._c.servers[cell].address

    def through(self, carry: Carry) -> "DnsCells":
        """The same cells, by way of somebody who need not be trusted."""
        return DnsCells(self._c, Carried(self._c, carry))

    async def hand_on(self, *, cell: str, message: bytes) -> bytes:
        """Somebody else's message to one of our cells, and its answer, both unchanged."""
        if cell not in self._c.servers:
            raise Permanent("CELL_UNKNOWN", f"{cell} is none of our cells", provider=PROVIDER)
        server = self._c.servers[cell]
        if not is_for(message, server.zone):
            what = f"only signed questions and updates of {server.zone} are handed on"
            raise Permanent("MESSAGE_INVALID", what, provider=PROVIDER)
        try:
            async with asyncio.timeout(self._c.timeout):
                return await exchanged(*server.address, message)
        except (OSError, EOFError, TimeoutError) as error:
            raise Temporary(f"{cell} does not answer: {type(error).__name__}", provider=PROVIDER) from error

    async def read(self, *, cell: str, slot: str) -> bytes | None:
        """The one TXT string at the slot's name; None for NXDOMAIN and NODATA."""
        texts = await self._txt(cell, owner(slot, self._zone(cell)))
        if len(texts) > 1:
            raise Temporary(f"{cell} holds {len(texts)} values for one slot: it is corrupt", provider=PROVIDER)
        if texts and len(texts[0]) != 1:
            # No swap can name it as the old value: nobody of ours wrote it.
            raise Temporary(f"{cell} holds a value in {len(texts[0])} strings: it is corrupt", provider=PROVIDER)
        return texts[0][0] if texts else None

    async def swap(self, *, cell: str, slot: str, old: bytes | None, new: bytes) -> Swap:
        """One UPDATE; whatever is neither a clear yes nor a clear no is UNKNOWN. Raises Permanent for what is not kept."""
        if not _KEPT.fullmatch(new):
            kept = "a cell keeps 1 to 255 octets of a-z, 0-9, space and =.:,/-"
            raise Permanent("RECORD_INVALID", kept, provider=PROVIDER)
        if old is not None and not _KEPT.fullmatch(old):
            return Swap.MISMATCH  # it cannot stand there
        update = self._update(cell, slot, old, new)
        try:
            told, repeated = await self._sent(cell, update)
            # Where it was sent twice, a no may be the echo of our own first yes.
            return await self._stands(cell, slot, new) if told is Swap.MISMATCH and repeated else told
        except Temporary:
            return Swap.UNKNOWN

    def _zone(self, cell: str) -> dns.name.Name:
        return self._c.servers[cell].zone

    def _update(self, cell: str, slot: str, old: bytes | None, new: bytes) -> dns.update.UpdateMessage:
        server = self._c.servers[cell]
        name = owner(slot, server.zone)
        update = dns.update.UpdateMessage(server.zone, keyring=server.key)
        if old is None:
            update.absent(name, "TXT")
        else:
            update.present(name, _text(old))
        update.replace(name, TTL, _text(new))
        return update

    async def _sent(self, cell: str, update: dns.update.UpdateMessage) -> tuple[Swap, bool]:
        """What is answered, and whether the update may have come twice: by UDP where that is wished, and by TCP."""
        lost = False
        if self._c.servers[cell].transport == "udp":
            try:
                return _told(await self._way.by_udp(cell, update)), False
            except Temporary:
                lost = True
        answer, repeated = await self._way.ask(cell, update)
        return _told(answer), repeated or lost

    async def _stands(self, cell: str, slot: str, new: bytes) -> Swap:
        """Another's promise may stand on top of what we wrote, so that not finding it proves nothing."""
        return Swap.APPLIED if await self.read(cell=cell, slot=slot) == new else Swap.UNKNOWN

    async def identity(self, *, cell: str) -> CellIdentity:
        """`_cell.<zone> TXT "id=<uuid> inc=<n>"`."""
        zone = self._zone(cell)
        texts, offset = await asyncio.gather(
            self._txt(cell, dns.name.from_text("_cell", zone)), self._offset(cell)
        )  # fmt: skip - both at once
        words = b" ".join(string for strings in texts for string in strings).decode("ascii", "replace").split()
        fields = dict(word.split("=", 1) for word in words if "=" in word)
        if not fields.get("id") or not fields.get("inc", "").isdigit():
            raise Temporary(f"{cell} shows no identity at _cell.{zone}", provider=PROVIDER)
        return CellIdentity(fields["id"], int(fields["inc"]), fields.get("sw", ""), offset=offset)

    async def _offset(self, cell: str) -> float | None:
        """By the time that signs its answer; one that finds ours too far off tells its own (RFC 8945, section 5.2.3)."""
        server = self._c.servers[cell]
        query = dns.message.make_query(server.zone, "SOA")
        query.flags &= ~dns.flags.RD
        query.use_tsig(server.key)
        try:
            async with asyncio.timeout(self._c.timeout):
                wire = await exchanged(*server.address, query.to_wire())
            answer = dns.message.from_wire(wire, keyring=False)
        except (dns.exception.DNSException, OSError, EOFError, ValueError, TimeoutError):
            return None
        if not answer.tsig:
            return None
        # Not verified: nothing is decided by it, and a server that refuses our time cannot always sign for us.
        signed = answer.tsig[0]
        theirs = int.from_bytes(signed.other) if signed.error == dns.rcode.BADTIME else signed.time_signed
        return float(theirs) - time.time()

    async def _txt(self, cell: str, name: dns.name.Name) -> list[tuple[bytes, ...]]:
        query = dns.message.make_query(name, "TXT")
        query.flags &= ~dns.flags.RD
        answer = await self._asked(cell, query)
        if not answer.flags & dns.flags.AA or answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            code = dns.rcode.to_text(answer.rcode())
            raise Temporary(f"{cell} answers without authority ({code})", provider=PROVIDER, provider_code=code)
        found = [rrset for rrset in answer.answer if rrset.rdtype == dns.rdatatype.TXT and rrset.name == name]
        return [rdata.strings for rrset in found for rdata in rrset]

    async def _asked(self, cell: str, query: dns.message.Message) -> dns.message.Message:
        if self._c.servers[cell].transport == "udp":
            try:
                return await self._way.by_udp(cell, query)
            except Temporary:
                pass
        answer, _ = await self._way.ask(cell, query)
        return answer


def _told(answer: dns.message.Message) -> Swap:
    if not answer.had_tsig:
        return Swap.UNKNOWN  # anybody may have said it
    if answer.rcode() == dns.rcode.NOERROR:
        return Swap.APPLIED
    lost = (dns.rcode.NXRRSET, dns.rcode.YXRRSET, dns.rcode.NXDOMAIN, dns.rcode.YXDOMAIN)
    return Swap.MISMATCH if answer.rcode() in lost else Swap.UNKNOWN


@lru_cache(maxsize=4096)
def owner(slot: str, zone: dns.name.Name) -> dns.name.Name:
    """Where a slot's record stands: base32 of its name, or a hash of it where that is too long for a label.

    Cells that a slot moved to later have it below the name of that configuration, so that old and new never meet.
    """
    slot, _, configuration = slot.partition("@")
    label = base64.b32encode(slot.encode()).decode().rstrip("=").lower()
    if len(label) > 63:
        label = hashlib.sha256(slot.encode()).digest()[:20].hex()
    return dns.name.from_text(f"{label}.{configuration}" if configuration else label, zone)


def is_for(message: bytes, zone: dns.name.Name) -> bool:
    """Whether these bytes are one signed question or update of that zone, and no more."""
    try:
        read = dns.message.from_wire(message, keyring=False)  # whether the signature holds is the cell's to say
    except (dns.exception.DNSException, ValueError):
        return False
    if read.flags & dns.flags.QR or not read.had_tsig or len(read.question) != 1:
        return False
    name = read.question[0].name
    if read.opcode() == dns.opcode.UPDATE:
        return bool(name == zone)
    return bool(read.opcode() == dns.opcode.QUERY and name.is_subdomain(zone))


def _text(value: bytes) -> TXT:
    return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, (value,))
