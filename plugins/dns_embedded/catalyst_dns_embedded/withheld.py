"""Names that follow a slot, after a start: not answered until whoever leads them has written their mark anew.

A server that was away may have missed a move. It keeps what it has, but to answer with it would lead clients to a region that
may not write any more; no answer sends them to another server. Marks themselves are answered: by them it is found behind.
"""

import dns.message
import dns.name
import dns.rcode
import dns.update
from dns.rdatatype import RdataType

from .authority import Authority

_MARK = b"_continuum"


class Withheld:
    """Every name of a zone that has a mark, at the time at which this is made."""

    def __init__(self, authority: Authority, origin: dns.name.Name) -> None:
        served = authority.served(origin)
        sets = served.sets if served is not None else {}
        self._names = {dns.name.Name(name.labels[1:]) for name in sets if name.labels[0].lower() == _MARK}

    def holds(self, query: dns.message.Message) -> bool:
        """Whether the question is about a name that is not answered yet."""
        return any(question.name in self._names and question.rdtype != RdataType.TXT for question in query.question)

    def heard(self, message: dns.update.UpdateMessage, response: dns.message.Message) -> None:
        """An update was answered; names whose mark it wrote are answered from now on."""
        if response.rcode() == dns.rcode.NOERROR:
            marks = {rrset.name for rrset in message.update if rrset.name.labels[0].lower() == _MARK}
            self._names -= {dns.name.Name(name.labels[1:]) for name in marks}
