"""Two hosts that sign one domain while it moves from one to the other (RFC 8901, model 2).

Each shows the other's keys beside its own and the parent vouches for both, so that an answer of either validates by the keys
that either shows, whatever a cache has. At the old host its owner enters our key; nobody else may write there. What its servers
show is looked at, and is enough.
"""

from collections.abc import Collection, Iterable

import dns.message
import dns.name
import dns.rrset
from catalyst_sdk import Temporary
from catalyst_sdk.dns_rules import KEYS
from catalyst_sdk.registrar import DsRecord
from catalyst_sdk.resolver import Bogus, trusted_keys

from .polled import Polled
from .servers import Fault, rrset


async def others(old: Polled, origin: str, ds: Iterable[DsRecord], own: Collection[str]) -> tuple[str, ...]:
    """Keys that the old host shows beside our `own`, if a move with two signers is safe; none where it is not.

    Safe: each of its servers shows the same set, ours in it, signed by a key of the `ds` that the parent shows, and all of one
    algorithm, since whoever knows of two may ask for signatures by each (RFC 8901, section 4). Raises Temporary while one of
    them gives no answer.
    """
    named, sets = tuple(ds), set()
    for server in old.names:
        answer = await old.servers.ask(server, origin, KEYS)
        if isinstance(answer, Fault):
            raise Temporary(f"{server} does not say which keys {origin} has: {answer.detail}", provider="dns")
        found = rrset(answer, origin, KEYS)
        if found is None or not named or not _is_vouched(answer, found.name, named):
            return ()
        sets.add(frozenset(str(key) for key in found))
        algorithms = {int(key.algorithm) for key in found} | {one.algorithm for one in named}
        if len(algorithms) > 1:
            return ()
    shown = sets.pop() if len(sets) == 1 else frozenset()
    return tuple(sorted(shown - set(own))) if own and set(own) <= shown else ()


def _is_vouched(answer: dns.message.Message, name: dns.name.Name, named: Collection[DsRecord]) -> bool:
    ds = dns.rrset.from_text_list(name, 0, "IN", "DS", [str(one) for one in named])
    try:
        trusted_keys(answer, name, ds)
    except Bogus:
        return False
    return True
