"""What the catalogue does when `environment` tells of Applications: it knows what stands.

Each event has its effect in one transaction with its inbox row, hence once.
"""

from collections.abc import Sequence

from catalyst.environment.v1 import events_pb2 as environment
from catalyst_mesh import Handled, Told

from .domain.installations import Installation, told
from .store import Store

_ROOT = "catalyst.v1.environment.application"
_ORG = "organizations/"


async def on_installed(tx: Store, message: environment.ApplicationInstalled, about: Told) -> Sequence[object]:
    """It was seen healthy for the first time."""
    return await _note(tx, _stands(message))


async def on_updated(tx: Store, message: environment.ApplicationUpdated, about: Told) -> Sequence[object]:
    """Its pin may be another one now. One that was never seen healthy does not stand yet."""
    if await tx.installation(message.application) is None:
        return ()
    return await _note(tx, _stands(message))


async def on_removed(tx: Store, message: environment.ApplicationRemoved, about: Told) -> Sequence[object]:
    """It has gone. The row stays as long as its Environment does: a word about it may still be on its way."""
    gone = Installation(
        message.application, message.organization.removeprefix(_ORG), message.environment, message.blueprint, "", "",
        message.version, is_removed=True,
    )  # fmt: skip
    return await _note(tx, gone)


HANDLED = (
    Handled(f"{_ROOT}.installed", environment.ApplicationInstalled, on_installed),
    Handled(f"{_ROOT}.updated", environment.ApplicationUpdated, on_updated),
    Handled(f"{_ROOT}.removed", environment.ApplicationRemoved, on_removed),
)


def _stands(message: environment.ApplicationInstalled | environment.ApplicationUpdated) -> Installation:
    return Installation(
        message.application, message.organization.removeprefix(_ORG), message.environment, message.blueprint,
        message.blueprint_version, message.digest, message.version,
    )  # fmt: skip


async def _note(tx: Store, now: Installation) -> Sequence[object]:
    written = told(await tx.installation(now.application), now)
    if written is not None:
        await tx.note(written)
    return ()
