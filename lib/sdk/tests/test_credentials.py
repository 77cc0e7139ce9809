"""Credentials of several fields, and text that is cleaned of them."""

import base64
import json
from urllib.parse import quote

import pytest
from catalyst_sdk import Permanent, Secret, SecretRef
from catalyst_sdk.credentials import VEIL, Credential, NoSuchForm, credential_faults, from_line, opened, packed
from hypothesis import given
from hypothesis import strategies as st

SCHEMA = {
    "required": ["user", "key"],
    "x-line": [["user", "key"], ["user", "key", "region"]],
    "properties": {
        "user": {"type": "string", "pattern": "^[a-z]+$", "description": "letters"},
        "key": {"type": "string", "minLength": 8, "x-secret": True},
        "region": {"enum": ["eu", "us"]},
    },
}


class Kept:
    def __init__(self, value: bytes) -> None:
        self.value = value

    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(self.value)


def test_every_fault_is_named_by_field_and_rule_and_no_value_is_told() -> None:
    found = credential_faults(SCHEMA, {"user": "S3CRET", "key": "short", "region": "xx", "colour": "v4lue"})
    assert [(fault.field, fault.rule) for fault in found] == [
        ("colour", "unknown"), ("key", "minLength"), ("region", "enum"), ("user", "pattern"),
    ]  # fmt: skip
    assert not any(value in fault.text for fault in found for value in ("S3CRET", "short", "v4lue", "xx"))
    assert [fault.field for fault in credential_faults(SCHEMA, {})] == ["key", "user"]


def test_a_registrar_that_needs_none_takes_none() -> None:
    assert credential_faults({}, {}) == ()
    assert [fault.rule for fault in credential_faults({}, {"key": "12345678"})] == ["unknown"]


def test_the_old_line_is_taken_apart_by_the_number_of_its_parts() -> None:
    assert from_line(SCHEMA, " me : 12345678\n") == {"user": "me", "key": "12345678"}
    assert from_line(SCHEMA, "me:12345678:eu") == {"user": "me", "key": "12345678", "region": "eu"}
    for line in ("me", "me:12345678:eu:2001:db8::1"):
        with pytest.raises(NoSuchForm, match="the form is user:key or user:key:region") as refused:
            from_line(SCHEMA, line)
        assert line not in str(refused.value)


async def test_what_is_kept_is_opened_and_shows_nothing() -> None:
    fields = {"user": "me", "key": "12345678"}
    credential = await opened(Kept(packed(fields)), SecretRef("x"), SCHEMA, provider="p")
    assert (credential["key"], credential.get("region", "eu")) == ("12345678", "eu")
    assert repr(credential) == "Credential(key, user)"


@pytest.mark.parametrize("kept", [b"no json", b"[1]", b'{"user": "me"}'])
async def test_what_cannot_be_used_is_rejected_by_field(kept: bytes) -> None:
    with pytest.raises(Permanent) as refused:
        await opened(Kept(kept), SecretRef("x"), SCHEMA, provider="p")
    assert (refused.value.reason, "key" in refused.value.metadata["fields"]) == ("CREDENTIALS_REJECTED", True)
    assert refused.value.__cause__ is None


@given(st.text(min_size=8, max_size=30), st.text(max_size=20))
def test_a_secret_is_cut_out_however_it_is_written(secret: str, around: str) -> None:
    credential = Credential({"user": "me", "key": secret}, SCHEMA)
    written = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], base64.b64encode(secret.encode()).decode()]
    clean = credential.veil(around.join(["", *written, ""]))
    assert clean.replace(VEIL, "").replace(around, "") == "" or secret not in clean.replace(VEIL, "")
    assert credential.veil("nothing") == "nothing" or secret in "nothing"


def test_of_two_secrets_of_which_one_holds_the_other_nothing_stays() -> None:
    schema = {"properties": {"a": {"x-secret": True}, "b": {"x-secret": True}}}
    assert Credential({"a": "12345678", "b": "123456789abc"}, schema).veil("x123456789abcx") == f"x{VEIL}x"
