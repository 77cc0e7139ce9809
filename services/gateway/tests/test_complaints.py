"""What is wrong in a JSON body is told where it is, and in words of JSON."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import service_pb2
from catalyst_gateway.complaints import violation
from catalyst_gateway.transcode import BodyUnreadable, object_of
from google.protobuf import json_format

STATES = (
    "STATE_DRAFT, STATE_PROVISIONING, STATE_ACTIVE, STATE_UPDATING, STATE_FAILED, STATE_DESTROYING, STATE_DESTROYED"
)
MOMENT = "a moment is expected, such as 2026-12-31T12:00:00Z"
WRONG: list[tuple[Any, str, str]] = [
    ({"name": 5}, "sovereign.name", "text is expected"),
    ({"name": "\ud800"}, "sovereign.name", "half of a character (an unpaired surrogate) is no text"),
    ("hello", "sovereign", "an object is expected"),
    ([{"name": "a"}], "sovereign", "an object is expected"),
    (7, "sovereign", "an object is expected"),
    ({"spec": {"organization": "acme"}}, "sovereign.spec.organization", "an object is expected"),
    ({"spec": {"clusters": [{}, {"colour": 1}]}}, "sovereign.spec.clusters[1].colour", "there is no such field"),
    ({"spec": {"clusters": [["a"]]}}, "sovereign.spec.clusters[0]", "an object is expected"),
    ({"conditions": {"a": 1}}, "sovereign.conditions", "a list is expected"),
    ({"conditions": [5]}, "sovereign.conditions", "an object is expected"),
    ({"version": "abc"}, "sovereign.version", "a whole number is expected"),
    ({"version": 1.5}, "sovereign.version", "a whole number is expected"),
    ({"version": "9" * 30}, "sovereign.version", f"Value out of range: {'9' * 30}"),
    ({"simulated": "yes"}, "sovereign.simulated", "true or false is expected"),
    ({"createTime": "yesterday"}, "sovereign.createTime", MOMENT),
    ({"createTime": 5}, "sovereign.createTime", MOMENT),
    ({"state": "GONE"}, "sovereign.state", f"GONE is none of {STATES}"),
]


@pytest.mark.parametrize(("sovereign", "field", "sentence"), WRONG)
def test_a_fault_has_its_place_and_says_what_is_expected(sovereign: Any, field: str, sentence: str) -> None:
    wish = {"sovereign": sovereign}
    with pytest.raises(json_format.ParseError) as fault:
        json_format.ParseDict(wish, service_pb2.CreateSovereignRequest())
    told = violation(str(fault.value), wish)
    assert (told.field, told.description) == (field, sentence)


def test_a_body_without_a_bottom_is_no_body() -> None:
    with pytest.raises(BodyUnreadable, match="nested too deeply"):
        object_of(b"[" * 100_000)
