"""Offering a name, and taking it over."""

import hashlib
import secrets
from collections.abc import Callable

from catalyst.pooldomain.v1 import service_pb2
from catalyst_mesh import Caller, InvalidRequest, stamp
from catalyst_mesh.calls import RoleDenied
from catalyst_sdk import Decision, Violation

from catalyst_pool_domain_manager.domain import refusals, transfers
from catalyst_pool_domain_manager.domain.allocations import Allocation
from catalyst_pool_domain_manager.store import Store

from .messages import to_allocation
from .standing import governed, key_of, may_govern, may_see


def new_code() -> tuple[str, str]:
    """A code, and what is kept of it."""
    code = f"tra_{secrets.token_hex(32)}"
    return code, digest(code)


def digest(code: str) -> str:
    """What is kept of a code."""
    return hashlib.sha256(code.encode()).hexdigest()


async def offered(
    tx: Store, request: service_pb2.TransferAllocationRequest, me: Caller, kept: str
) -> Decision[Allocation]:
    """The name with the offer. Raises what the caller may not do."""
    a = await governed(tx, request.name, me)
    if request.new_owner == a.owner:
        raise InvalidRequest((Violation("new_owner", f"{a.owner} has it already", "new_owner"),))
    return transfers.offer(a, request.new_owner, kept, tx.now)


def to_response(code: str, *, shown: bool) -> Callable[[Allocation], service_pb2.TransferAllocationResponse]:
    """The answer, with the code only where the offer was made."""

    def answer(a: Allocation) -> service_pb2.TransferAllocationResponse:
        ends = stamp(a.offer.ends_at) if a.offer else None
        return service_pb2.TransferAllocationResponse(
            allocation=to_allocation(a), code=code if shown else "", expire_time=ends
        )

    return answer


async def named(tx: Store, name: str, me: Caller) -> Allocation:
    """The name, where it was offered to somebody for whom the caller may take it; for all others but its owner it is absent.

    Raises AllocationNotFound, RoleDenied.
    """
    a = await tx.lock(*key_of(name))
    if a is None or not a.is_live(tx.now):
        raise refusals.AllocationNotFound(name=name)
    taker = a.offer.new_owner if a.offer else a.owner
    if not (may_see(a.owner, me) or may_govern(taker, me)):
        raise refusals.AllocationNotFound(name=name)
    if not may_govern(taker, me):
        raise RoleDenied(subject=me.subject, resource=name)
    return a
