"""Update masks: the same paths for reading and writing (AIP-134, AIP-161); and the etag that was read."""

from collections.abc import Collection

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
    return paths or frozenset(field.name for field, _ in given.ListFields()) & frozenset(changeable)


def fresh(name: str, revision: int, given: str) -> None:
    """Raises EtagMismatch where something else was read than stands there now."""
    if given and given != etag(revision):
        raise EtagMismatch(name=name)
