"""Update masks: the same paths for reading and writing (AIP-134, AIP-161); and the etag that was read."""

from collections.abc import Collection, Iterator

from catalyst_mesh import InvalidRequest
from catalyst_sdk import Violation
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from ..domain.refusals import EtagMismatch
from .words import etag


def wanted(mask: FieldMask, given: Message, changeable: Collection[str]) -> frozenset[str]:
    """The fields to take over; without a mask, those that are set and may change. Raises InvalidRequest."""
    paths = frozenset(mask.paths) - {"*"}
    if "*" in mask.paths:
        return frozenset(changeable)
    if unknown := sorted(paths - frozenset(changeable)):
        raise InvalidRequest(tuple(Violation("update_mask", f"{path} cannot be changed", "mask") for path in unknown))
    return paths or frozenset(_set(given, changeable)) & frozenset(changeable)


def _set(given: Message, changeable: Collection[str]) -> Iterator[str]:
    """Paths of the fields that are set; of a message whose parts may change apart, those of its parts."""
    apart = {path.partition(".")[0] for path in changeable if "." in path}
    for field, value in given.ListFields():
        if field.name in apart:
            yield from (f"{field.name}.{part.name}" for part, _ in value.ListFields())
        else:
            yield field.name


def fresh(name: str, revision: int, given: str) -> None:
    """Raises EtagMismatch where something else was read than stands there now."""
    if given and given != etag(revision):
        raise EtagMismatch(name=name)
