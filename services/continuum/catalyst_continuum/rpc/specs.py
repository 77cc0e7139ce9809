"""Between the wish of the contract and the document that the domain reads, which is the `spec` of a manifest."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from catalyst.continuum.v1 import resources_pb2
from catalyst_mesh import InvalidRequest
from catalyst_sdk import Violation, forms
from catalyst_sdk.continuum_form import SPEC
from google.protobuf.descriptor import Descriptor
from google.protobuf.json_format import MessageToDict, ParseDict

from ..domain import parsing, spec_rules
from ..domain.slots import Slot
from ..domain.spec import Spec, SpecInvalid
from ..domain.spec_rules import House
from ..domain.timing import Profile
from ..workers import own_rules

_FIELDS = resources_pb2.ContinuumSpec.DESCRIPTOR
PREFIX = "continuum."
"""Where the spec stands in the requests that write it."""


def document(spec: resources_pb2.ContinuumSpec) -> dict[str, Any]:
    """The wish as a manifest says it."""
    given: dict[str, Any] = SPEC.from_api(MessageToDict(spec, preserving_proto_field_name=True))
    return given


def parsed(wish: dict[str, Any], house: House) -> Spec:
    """The wish, understood. Raises SpecInvalid with the paths of the contract."""
    found = list(own_rules.faults(parsing.safety_rules(wish)))
    try:
        spec = parsing.parse(wish, house)
    except SpecInvalid as refused:
        found += refused.violations
    if found:
        raise SpecInvalid([_placed(violation) for violation in found])
    return spec


def must_be_fenced(spec: Spec, worst: float) -> None:
    """Raises SpecInvalid where the fence budget is below the `worst` seconds that the fencers at hand declare."""
    if found := list(spec_rules.fence_faults(spec.profile, worst)):
        raise SpecInvalid([_placed(violation) for violation in found])


def wish_of(slot: Slot) -> dict[str, Any]:
    """The wish that a slot has; that of a Sovereign's own is its region, and the daemon's cells."""
    if slot.document:
        kept: dict[str, Any] = json.loads(slot.document)
        return kept
    return {"primaryRegion": slot.region, "leaseClient": {"kind": "dns-quorum"}} | (
        {"suspend": True} if slot.suspended else {}
    )


def understood(slot: Slot, house: House, profile: Profile) -> Spec:
    """The wish that a slot has, understood."""
    if not slot.document:
        return parsing.lone(slot.region, profile, suspend=slot.suspended)
    return parsing.kept(wish_of(slot), replace(house, namespace=slot.namespace))


def text(wish: dict[str, Any]) -> str:
    """The one way to keep a wish."""
    return json.dumps(wish, sort_keys=True, separators=(",", ":"))


def message(wish: dict[str, Any]) -> resources_pb2.ContinuumSpec:
    """The wish as the contract says it."""
    values, _ = forms.read(SPEC, wish, "spec")
    return ParseDict(SPEC.to_api(values), resources_pb2.ContinuumSpec())


def merged(before: dict[str, Any], given: resources_pb2.ContinuumSpec, paths: Sequence[str]) -> dict[str, Any]:
    """The wish of before with the fields that a mask names taken over; no mask: every field that is set.

    A field that the mask names and that is not set goes back to its default. Raises InvalidRequest for a field that is none.
    """
    new = MessageToDict(given, preserving_proto_field_name=True)
    if {"*", "spec"} & set(paths):
        return document(given)
    wanted = [path.removeprefix("spec.") for path in paths] or [f"{name}" for name in new]
    strange = [path for path in paths if not path.startswith("spec.") or not _is_field(_FIELDS, path.split(".")[1:])]
    if strange:
        raise InvalidRequest(tuple(Violation("update_mask", f"{path} cannot be changed", "mask") for path in strange))
    old = MessageToDict(message(before), preserving_proto_field_name=True)
    for path in wanted:
        _take_over(old, new, path.split("."))
    return SPEC.from_api(old)  # type: ignore[no-any-return]  # an object


def changed(before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    """Paths of the contract that differ between two wishes."""
    names = [name for name in SPEC.fields if before.get(name) != after.get(name)]
    return tuple(f"spec.{SPEC.fields[name].api}" for name in names)


def _placed(violation: Violation) -> Violation:
    path = violation.field.removeprefix("spec").removeprefix(".")
    where = f"{PREFIX}spec" + (f".{forms.api_path(SPEC, path)}" if path else "")
    return Violation(where, violation.description, violation.rule)


def _is_field(kind: Descriptor, steps: Sequence[str]) -> bool:
    field = kind.fields_by_name.get(steps[0])
    if field is None:
        return False
    return len(steps) == 1 or (
        field.message_type is not None and not field.is_repeated and _is_field(field.message_type, steps[1:])
    )


def _take_over(old: dict[str, Any], new: dict[str, Any], steps: Sequence[str]) -> None:
    *parents, last = steps
    for step in parents:
        old, new = old.setdefault(step, {}), new.get(step, {})
    if last in new:
        old[last] = new[last]
    else:
        old.pop(last, None)
