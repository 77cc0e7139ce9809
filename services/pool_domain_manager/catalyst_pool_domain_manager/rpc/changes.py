"""Changes of a pool by a mask (AIP-134, AIP-161): which fields are taken over, and the whole wish that comes of it."""

from typing import Any

from catalyst.pooldomain.v1 import resources_pb2, service_pb2
from catalyst_mesh import InvalidRequest
from catalyst_sdk import Violation
from google.protobuf import field_mask_pb2

CHANGEABLE = (
    "kinds", "policy", "record_layout", "ttls", "backend", "reservation_ttl", "quarantine", "allow_private_targets",
    "registrar_account", "name_server_set",
)  # fmt: skip
PARTS = ("policy", "ttls")
"""Fields of which single parts may be changed too, such as `ttls.ns`."""


def paths(request: service_pb2.UpdatePoolRequest) -> tuple[str, ...]:
    """The paths to take over. Raises InvalidRequest with every one that cannot be."""
    asked = tuple(request.update_mask.paths)
    if not asked:
        return tuple(field.name for field, _ in request.pool.ListFields() if field.name in CHANGEABLE)
    if asked == ("*",):
        return CHANGEABLE
    wrong = [path for path in asked if not _is_known(path)]
    if wrong:
        raise InvalidRequest(tuple(Violation("update_mask", f"{path} cannot be changed", "mask") for path in wrong))
    return asked


def merged(known: resources_pb2.Pool, wish: resources_pb2.Pool, wanted: tuple[str, ...]) -> resources_pb2.Pool:
    """The pool that is known, with the wanted fields of the wish; a field that the wish leaves out gets its default."""
    whole = resources_pb2.Pool()
    whole.CopyFrom(known)
    for path in wanted:
        head, _, part = path.partition(".")
        source: Any
        target: Any
        source, target = (getattr(wish, head), getattr(whole, head)) if part else (wish, whole)
        target.ClearField(part or head)
        mask = field_mask_pb2.FieldMask(paths=[part or head])
        mask.MergeMessage(source, target, replace_message_field=True, replace_repeated_field=True)
    return whole


def _is_known(path: str) -> bool:
    head, dot, part = path.partition(".")
    if head not in CHANGEABLE or (dot and head not in PARTS):
        return False
    kind: Any = resources_pb2.Pool.DESCRIPTOR.fields_by_name[head].message_type
    return not dot or (part in kind.fields_by_name and part != "version")
