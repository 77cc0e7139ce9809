"""Work that goes on in the daemon of Organizations: how far it is, and trying it again or ending it."""

import grpc

from .asking import Answer
from .faults import REFUSALS, Faults
from .visits import Visit

VERBS = ("retry", "cancel")
_HIDDEN = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.PERMISSION_DENIED)


async def of(at: Visit, resource: Answer) -> Answer:
    """What is being done with a resource, or was last; nothing where there is nothing, or it is not this person's to see."""
    name = resource.get("operation", "")
    if not name:
        return {}
    try:
        return await at.api.operation(name)
    except grpc.aio.AioRpcError as error:
        if error.code() in _HIDDEN:
            return {}
        raise


async def act(at: Visit, resource: Answer, verb: str) -> Faults | None:
    """Have the failed steps of a resource's work tried again, or the work ended; what stands against it."""
    try:
        await at.api.send("POST", f"/v1/{resource.get('operation', '')}:{verb}")
    except REFUSALS as refused:
        return Faults.of(refused)
    return None
