"""Configuration against a schema: all violations at once, all defaults, no value of a secret."""

from typing import Any

import pytest
from catalyst_catalog.domain import config_schema
from catalyst_catalog.domain.refusals import ConfigInvalid, SchemaUnsupported
from catalyst_catalog.domain.universe import Universe
from hypothesis import given, settings
from hypothesis import strategies as st


def schema(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def violations(of: dict[str, Any], config: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigInvalid) as invalid:
        config_schema.normalise(of, config)
    return {v.field: v.description for v in invalid.value.violations}


def test_harbor_without_hostname_has_three_faults_and_with_it_six_defaults(seed: Universe) -> None:
    harbor = seed.heads["bp-harbor"].manifest.spec.config_schema
    assert violations(harbor, {"coreReplicas": 9, "foo": 1}) == {
        "/coreReplicas": "must be at most 5", "/foo": "is not known", "/hostname": "is required",
    }  # fmt: skip
    given_config = {"hostname": "harbor.example"}
    whole = config_schema.normalise(harbor, given_config)
    assert len(list(config_schema.filled_in(given_config, whole))) == 6
    assert whole["coreReplicas"] == 1


def test_vpa_takes_the_word_off_and_no_other(seed: Universe) -> None:
    vpa = seed.heads["bp-vpa"].manifest.spec.config_schema
    assert config_schema.normalise(vpa, {"defaultUpdateMode": "Off"})["defaultUpdateMode"] == "Off"
    assert list(violations(vpa, {"defaultUpdateMode": "off"})) == ["/defaultUpdateMode"]
    assert list(violations(vpa, {"defaultUpdateMode": False})) == ["/defaultUpdateMode"]


def test_every_schema_of_this_repository_is_supported_and_holds_its_own_defaults(seed: Universe) -> None:
    schemas = [h.manifest.spec.config_schema for h in seed.heads.values() if h.manifest.spec.config_schema]
    assert len(schemas) == 21
    for one in schemas:
        config_schema.check(one)


def test_defaults_appear_below_absent_objects_and_are_copies() -> None:
    deep = schema(a=schema(b=schema(c={"type": "array", "items": {"type": "string"}, "default": ["x"]})))
    whole = config_schema.normalise(deep, {})
    assert whole == {"a": {"b": {"c": ["x"]}}}
    whole["a"]["b"]["c"].append("y")
    assert config_schema.normalise(deep, {}) == {"a": {"b": {"c": ["x"]}}}


def test_paths_are_json_pointers() -> None:
    deep = schema(auth=schema(keycloak=schema(**{"a/b": {"type": "string"}})))
    assert violations(deep, {"auth": {"keycloak": {"a/b": 1, "x~y": 2}}}) == {
        "/auth/keycloak/a~1b": "must be of type string", "/auth/keycloak/x~0y": "is not known",
    }  # fmt: skip


def test_a_password_is_a_reference_and_never_shown() -> None:
    secret = schema(password={"type": "string", "x-catalyst-ui-hint": "password"})
    told = violations(secret, {"password": "hunter2"})
    assert list(told) == ["/password"]
    assert "hunter2" not in str(told)
    assert config_schema.normalise(secret, {"password": {"secretRef": {"name": "credentials/db"}}})


def test_an_open_object_takes_any_key_when_the_schema_says_so() -> None:
    keys = {"type": "object", "additionalProperties": True}
    assert config_schema.normalise(schema(keys=keys), {"keys": {"any": "thing"}})
    assert violations(schema(keys={"type": "object"}), {"keys": {"any": "thing"}}) == {"/keys/any": "is not known"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("hostname", "a-b.example", "a_b.example"),
        ("hostname", "localhost", "-a"),
        ("email", "ops@acme.example", "ops@acme"),
        ("uri", "https://a.example/x?y=1", "a.example"),
        ("ipv4", "192.0.2.1", "192.0.2.256"),
        ("ipv6", "2001:db8::1", "2001:db8::g"),
        ("date-time", "2026-01-01T00:00:00Z", "2026-01-01"),
        ("date-time", "2026-01-01t00:00:00.5+01:00", "2026-13-01T00:00:00Z"),
    ],
)
def test_formats_are_checked(name: str, good: str, bad: str) -> None:
    of = schema(x={"type": "string", "format": name})
    assert config_schema.normalise(of, {"x": good}) == {"x": good}
    assert violations(of, {"x": bad}) == {"/x": f"must be a valid {name}"}


@pytest.mark.parametrize(
    "unsafe",
    [
        {"$ref": "https://elsewhere.example/schema"},
        schema(a={"$ref": "#"}),
        schema(a={"type": "string", "pattern": "(a+)+$"}),
        schema(a={"type": "string", "pattern": "(a|aa)*"}),
        schema(a={"type": "string", "pattern": "((a*)b)*"}),
        schema(a={"type": "string", "pattern": r"(a)\1"}),
        schema(a={"type": "string", "pattern": "["}),
        schema(a={"type": "string", "pattern": "a" * 201}),
        schema(a={"type": "string", "format": "regex"}),
        schema(a={"type": "integer", "default": "x"}),
        schema(a={"type": "string", "enum": ["Initial", False]}),
        schema(a={"x-catalyst-ui-hint": "magic"}),
        schema(a={"type": "nothing"}),
        schema(**{f"p{n}": {} for n in range(501)}),
        {"type": "object", "properties": []},
        {"type": "object", "oneOf": {}},
    ],
)
def test_schemas_that_leave_the_subset_are_refused(unsafe: dict[str, Any]) -> None:
    with pytest.raises(SchemaUnsupported):
        config_schema.check(unsafe)


@pytest.mark.parametrize("pattern", ["^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", "^a+b*$", "^(a|b)c$", r"^\(a\)*$", "^[(+]*$"])
def test_linear_patterns_pass(pattern: str) -> None:
    config_schema.check(schema(a={"type": "string", "pattern": pattern}))


def test_a_schema_that_is_too_deep_is_refused_before_it_hurts() -> None:
    deep: dict[str, Any] = {}
    for _ in range(13):
        deep = schema(a=deep)
    with pytest.raises(SchemaUnsupported, match="deeper"):
        config_schema.check(deep)


def test_the_hash_follows_the_meaning_not_the_spelling() -> None:
    assert config_schema.config_hash({"a": 1, "b": 2}) == config_schema.config_hash({"b": 2, "a": 1})
    assert config_schema.config_hash({"a": 1}) != config_schema.config_hash({"a": 2})


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*config_schema.KEYWORDS, "$ref", "not"]), values, max_size=5), values)
@settings(deadline=None)
def test_any_schema_is_refused_or_answers(of: dict[str, Any], value: Any) -> None:
    try:
        config_schema.check(of)
        config_schema.normalise(of, {"x": value})
    except (SchemaUnsupported, ConfigInvalid):
        return
