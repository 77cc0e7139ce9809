"""From bytes to a checked manifest: everything that is wrong is said, at once and with its reason."""

import string

import pytest
import yaml
from catalyst_catalog.domain import documents, manifest
from catalyst_catalog.domain.inspection import Rejected, inspect
from catalyst_catalog.domain.manifest import ManifestInvalid
from hypothesis import given
from hypothesis import strategies as st

from .makers import BLUEPRINTS, document, needs


def inspected(content: bytes | str | dict, folder: str = "shop", **files: bytes):  # type: ignore[no-untyped-def]
    raw = yaml.safe_dump(content) if isinstance(content, dict) else content
    return inspect(folder, {"blueprint.yaml": raw if isinstance(raw, bytes) else raw.encode(), **files})


def reasons(content: bytes | str | dict, folder: str = "shop", **files: bytes) -> set[str]:
    with pytest.raises(Rejected) as rejected:
        inspected(content, folder, **files)
    return {finding.reason for finding in rejected.value.findings}


def test_every_blueprint_of_this_repository_passes_without_a_change() -> None:
    folders = sorted(path for path in BLUEPRINTS.iterdir() if path.is_dir())
    assert len(folders) == 78
    for folder in folders:
        found = inspect(folder.name, {"blueprint.yaml": (folder / "blueprint.yaml").read_bytes()})
        assert found.changes == ()
        assert (folder / "README.md").read_text().startswith(f"# {found.manifest.spec.card.title}\n")


def test_a_manifest_written_out_and_read_again_is_the_same() -> None:
    for folder in sorted(path for path in BLUEPRINTS.iterdir() if path.is_dir()):
        read = manifest.check(documents.read((folder / "blueprint.yaml").read_bytes()))
        assert manifest.Manifest.model_validate(read.as_document()) == read


def test_all_wrong_fields_come_at_once() -> None:
    wrong = document(
        "bp-shop", "1.3", visibility="secret", depends=["bp-db"], card=None, rotation=[{"kind": "x", "ttl": "5 days"}]
    )
    wrong["spec"]["placementSchema"] = {"modes": ["round-robin"], "default": "single-region"}
    with pytest.raises(ManifestInvalid) as invalid:
        manifest.check(wrong)
    fields = {violation.field for violation in invalid.value.violations}
    assert fields >= {
        "spec.version", "spec.visibility", "spec.depends.0", "spec.card", "spec.rotation.0.ttl",
        "spec.placementSchema.modes.0",
    }  # fmt: skip


def test_unknown_fields_are_errors_and_extensions_are_not() -> None:
    assert reasons(document("bp-shop", colour="red")) == {"MANIFEST_INVALID"}
    extended = document("bp-shop", **{"x-colour": "red"})
    extended["spec"]["card"]["x-note"] = 1
    assert inspected(extended).manifest.spec.card.title == "Shop"


def test_a_folder_with_another_name_is_an_issue() -> None:
    assert reasons(document("bp-shop"), folder="store") == {"NAME_MISMATCH"}
    assert reasons(document("bp-Shop"), folder="Shop") >= {"NAME_INVALID"}
    assert reasons(document("bp-shop-"), folder="shop-") >= {"NAME_INVALID"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"a: 1\na: 2\n", 2),
        (b"ok: 1\nbad: [\n", 3),
        (b"\xff\xfe", 1),
        (b"a: b\nc: \0", 2),
        (b"- 1\n", 1),
        (b"a: &a [x, x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n", 1),  # noqa: E501 - a bomb is one text
        (b"a: &a [*a]\n", 1),
        (b"#" * 300 * 1024, 0),
        (b"a: !!python/object:os.system x\n", 1),
        (b"a:\n" + b"[" * 200_000, 2),
    ],
)  # fmt: skip
def test_unreadable_bytes_are_refused_with_their_line(content: bytes, line: int) -> None:
    with pytest.raises(documents.Unreadable) as unreadable:
        documents.read(content)
    assert unreadable.value.line == line
    assert reasons(content) == {"MANIFEST_UNREADABLE"}


def test_only_true_and_false_are_booleans() -> None:
    read = documents.read(b"a: Off\nb: yes\nc: true\nd: 2026-01-01\n")
    assert read == {"a": "Off", "b": "yes", "c": True, "d": "2026-01-01"}


def test_ranges_conditions_and_schemas_are_refused_under_their_own_reason() -> None:
    assert reasons(document("bp-shop", depends=needs(db="latest"))) == {"RANGE_INVALID"}
    when = [{"blueprint": "bp-db", "when": "__import__('os')"}]
    assert reasons(document("bp-shop", depends=when)) == {"WHEN_INVALID"}
    assert reasons(document("bp-shop", configSchema={"$ref": "https://elsewhere"})) == {"SCHEMA_UNSUPPORTED"}


def test_a_blueprint_cannot_need_itself_or_use_an_alias_twice() -> None:
    assert reasons(document("bp-shop", depends=needs(shop="*"))) == {"MANIFEST_INVALID"}
    twice = [{"blueprint": "bp-db", "alias": "x"}, {"blueprint": "bp-mq", "alias": "x"}]
    assert reasons(document("bp-shop", depends=twice)) == {"MANIFEST_INVALID"}


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "card/../../x.svg"])
def test_a_path_that_leaves_the_folder_is_refused(path: str) -> None:
    assert reasons(document("bp-shop", card={"title": "Shop", "icon": path})) == {"PATH_ESCAPES"}


@pytest.mark.parametrize(
    "svg",
    [
        b"<svg><script>1</script></svg>",
        b"<svg onload='x()'/>",
        b"<svg><a href='x'/></svg>",
        b"<svg><foreignObject/></svg>",
    ],
)
def test_an_icon_that_can_act_is_refused(svg: bytes) -> None:
    card = {"title": "Shop", "icon": "card/icon.svg"}
    assert reasons(document("bp-shop", card=card), **{"card/icon.svg": svg}) == {"ICON_UNSAFE"}
    assert inspected(document("bp-shop", card=card), **{"card/icon.svg": b"<svg><path d='M0 0'/></svg>"})


def test_upstream_may_be_empty_only_if_that_is_said() -> None:
    silent = document("bp-shop")
    silent["metadata"]["annotations"] = {}
    assert reasons(silent) == {"MANIFEST_INVALID"}


def test_a_planned_blueprint_needs_neither_version_nor_manifests() -> None:
    planned = document("bp-shop", None, status="planned", manifests=None)
    assert inspected(planned).manifest.spec.version is None
    assert reasons(document("bp-shop", None)) == {"MANIFEST_INVALID"}


def test_what_a_listed_blueprint_lacks_is_a_warning() -> None:
    found = inspected(document("bp-shop", visibility="listed"))
    assert [warning.reason for warning in found.warnings] == ["CARD_INCOMPLETE"]
    assert "card.licence" in found.warnings[0].message


@pytest.mark.parametrize("token", ["{sovereign}", "{", "}{org}"])
def test_a_hostname_never_keeps_a_brace(token: str) -> None:
    endpoint = {"name": "web", "hostnameTemplate": f"shop.{token}.example", "port": 443}
    assert reasons(document("bp-shop", endpoints=[endpoint])) == {"MANIFEST_INVALID"}
    endpoint["hostnameTemplate"] = "{app}.{org}.{sovereign_fqdn}"
    assert inspected(document("bp-shop", endpoints=[endpoint]))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(string.printable, max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(string.ascii_letters, max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
fields = st.sampled_from(list(manifest.Spec.model_json_schema(by_alias=True)["properties"]))


@given(st.dictionaries(fields, values, max_size=5), st.binary(max_size=40))
def test_no_manifest_crashes_the_inspection(spec: dict, tail: bytes) -> None:  # type: ignore[type-arg]
    whole = document("bp-shop")
    whole["spec"] |= spec
    for content in (yaml.safe_dump(whole).encode(), yaml.safe_dump(whole).encode() + tail, tail):
        try:
            inspected(content)
        except Rejected as rejected:
            assert all(f.reason.isupper() and f.message for f in rejected.findings)  # noqa: PT017 - or it passes
