"""A text that does not match its pattern is told how it is written; no text that matches is accused of anything."""

import re
from importlib import import_module

import pytest
from buf.validate import validate_pb2
from catalyst_mesh.shapes import _segments, _shape, broken
from hypothesis import given
from hypothesis import strategies as st

RUN = "^sovereigns/[a-z][a-z0-9-]{2,31}/runs/[a-z][a-z0-9-]{3,62}$"
BLUEPRINT = "^(organizations/[a-z0-9-]{3,32}/)?blueprints/bp-[a-z0-9-]{2,63}$"


@pytest.mark.parametrize(
    ("pattern", "text", "told"),
    [
        (RUN, "r-1", "write it as sovereigns/…/runs/…"),
        (
            RUN,
            "sovereigns/omantel/runs/r-1",
            "write it as sovereigns/…/runs/…; what follows runs/ must have 4 to 63 characters of a-z, 0-9 and -, the first of "
            "a-z",
        ),
        ("^[0-9a-f]{64}$", "3b0c...", "must have 64 characters of a-f and 0-9"),
        (
            BLUEPRINT,
            "blueprints/x",
            "write it as blueprints/…; what follows blueprints/ must begin with bp-, then have 2 to 63 "
            "characters of a-z, 0-9 and -",
        ),
        (BLUEPRINT, "organizations/A/x", "write it as organizations/…/blueprints/…"),
        (
            "^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
            "x-",
            "must have 1 to 63 characters of a-z, 0-9 and -, the first of a-z, the last of a-z and 0-9",
        ),
        (
            "^zones/[a-z0-9-]+([.][a-z0-9-]+)+$",
            "zones/acme",
            "write it as zones/…; what follows zones/ is not of the form [a-z0-9-]+([.][a-z0-9-]+)+",
        ),
        ("^acme-(prod|stg)$", "acme-poc", "is not of the form ^acme-(prod|stg)$"),
        ("^https?://[^ ]+$", "ftp://x", "is not of the form ^https?://[^ ]+$"),
    ],
)  # fmt: skip - one table
def test_a_wrong_text_is_told_how_it_is_written(pattern: str, text: str, told: str) -> None:
    assert broken(pattern, text) == told


def patterns() -> list[str]:
    """Those of all fields of our contracts."""
    found = set()
    for part in ("pooldomain", "provisioner", "catalog", "billing", "continuum", "environment"):
        for file in ("service", "resources"):
            contract = import_module(f"catalyst.{part}.v1.{file}_pb2").DESCRIPTOR
            for message in contract.message_types_by_name.values():
                for field in message.fields:
                    rules = field.GetOptions().Extensions[validate_pb2.field]
                    found |= {rules.string.pattern, rules.repeated.items.string.pattern}
    return sorted(found - {""})


@given(st.data())
def test_what_matches_is_never_accused(data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(patterns()))
    for segment in _segments(pattern.removeprefix("^").removesuffix("$").replace("[[", "[\\[")):
        try:
            shape = _shape(segment)
        except re.error:  # a segment of an address is no pattern
            continue
        if shape is not None:
            assert shape.holds(data.draw(st.from_regex(segment, fullmatch=True)))


@given(st.sampled_from(patterns()), st.text())
def test_any_text_is_answered_in_one_short_line_that_does_not_repeat_it(pattern: str, text: str) -> None:
    told = broken(pattern, f"secret\n{text}")
    assert told
    assert "secret" not in told
    assert "\n" not in told
