"""What authors are told: every rule by which the catalogue takes a Blueprint, with its line, and the exit codes of a linter."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_catalog import authoring
from catalyst_catalog.domain import linting
from catalyst_catalog.domain.linting import ERROR, WARNING, Found, Known, lint
from catalyst_catalog.domain.manifest import Manifest
from hypothesis import given
from hypothesis import strategies as st

from .makers import BLUEPRINTS, document, needs, write

SCHEMA = BLUEPRINTS.parent / "docs" / "reference" / "blueprint.schema.json"


def linted(**blueprints: dict[str, Any]) -> list[Found]:
    """Findings about documents, by folder."""
    return lint({name: {"blueprint.yaml": yaml.safe_dump(one).encode()} for name, one in blueprints.items()})


def told(**blueprints: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one.folder, one.rule, one.level) for one in linted(**blueprints)]


def test_our_own_blueprints_have_no_errors() -> None:
    found = lint(
        {
            home.name: {"blueprint.yaml": (home / "blueprint.yaml").read_bytes()}
            for home in BLUEPRINTS.iterdir()
            if home.is_dir()
        }
    )  # fmt: skip - one call
    assert [one for one in found if one.level == ERROR] == []


def test_what_the_catalogue_would_reject_is_an_error() -> None:
    assert told(shop=document("bp-other")) == [("shop", "NAME_MISMATCH", ERROR)]
    assert told(shop=document("bp-shop", placementSchema={"modes": ["round-robin"]}))[0][1:] == (
        "MANIFEST_INVALID",
        ERROR,
    )
    assert lint({"shop": {"blueprint.yaml": b"a: [\n"}})[0].rule == "MANIFEST_UNREADABLE"
    assert lint({"shop": {}})[0].rule == "MANIFEST_MISSING"


def test_needs_are_known_reachable_and_in_no_circle() -> None:
    assert told(shop=document("bp-shop", depends=needs(db="*"))) == [("shop", "DEPENDENCY_UNKNOWN", WARNING)]
    old = {"db": document("bp-db", "1.0.0"), "shop": document("bp-shop", depends=needs(db="^2"))}
    assert told(**old) == [("shop", "RANGE_UNSATISFIED", ERROR)]
    circle = {a: document(f"bp-{a}", depends=needs(**{b: "*"})) for a, b in (("aa", "bb"), ("bb", "cc"), ("cc", "aa"))}
    (found,) = linted(**circle)
    assert (found.rule, found.message) == ("DEPENDENCY_CYCLE", "bp-aa > bp-bb > bp-cc > bp-aa")


def test_conditions_overlays_kinds_and_secrets_fit_what_is_declared() -> None:
    schema = {"type": "object", "properties": {"size": {"type": "integer"}}}
    edge = [{**needs(db="*")[0], "when": "config.cache == true"}]
    manifests = {**document("bp-x")["spec"]["manifests"], "overlays": {"small": {"size": "big", "pdb": True}}}
    shop = document(
        "bp-shop", depends=edge, configSchema=schema, manifests=manifests, requiresKinds=["db.example/Cluster"]
    )
    db = document("bp-db")
    assert {rule for _, rule, _ in told(shop=shop, db=db)} == {
        "WHEN_PATH_UNKNOWN",
        "OVERLAY_INVALID",
        "KIND_UNPROVIDED",
    }
    provided = document("bp-db", provides=["db.example/Cluster"])
    assert "KIND_UNPROVIDED" not in {rule for _, rule, _ in told(shop=shop, db=provided)}
    leaking = document("bp-shop", depends=[{**needs(db="*")[0], "values": {"auth": {"password": "hunter2"}}}])
    assert ("shop", "SECRET_IN_VALUES", ERROR) in told(shop=leaking, db=db)
    passed_on = document("bp-shop", depends=[{**needs(db="*")[0], "values": {"password": "{config.password}"}}])
    assert told(shop=passed_on, db=db) == []


def test_a_finding_stands_on_its_line_and_a_loose_boolean_is_one() -> None:
    text = yaml.safe_dump(
        document("bp-shop", configSchema={"type": "object", "properties": {"mode": {"enum": ["Off"]}}})
    )
    loose = text.replace("'Off'", "Off")
    (found,) = lint({"shop": {"blueprint.yaml": loose.encode()}})
    assert (found.rule, found.level) == ("UNQUOTED_BOOLEAN", WARNING)
    assert "Off" in loose.splitlines()[found.line - 1]
    assert lint({"shop": {"blueprint.yaml": text.encode()}}) == []
    broken = yaml.safe_dump(document("bp-shop", depends=[{"blueprint": "bp-db", "version": "^^1"}]))
    (found,) = lint({"shop": {"blueprint.yaml": broken.encode()}})
    assert "^^1" in broken.splitlines()[found.line - 1]


def test_exit_codes_are_those_of_a_linter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "bp-good")
    assert authoring.main(["lint", str(tmp_path)]) == 0
    write(tmp_path, "bp-shop", depends=needs(elsewhere="*"))
    assert authoring.main(["lint", str(tmp_path)]) == 0
    assert authoring.main(["lint", str(tmp_path), "--strict"]) == 1
    write(tmp_path, "bp-bad", document("bp-other"))
    capsys.readouterr()
    assert authoring.main(["lint", str(tmp_path), "--format", "json"]) == 1
    assert {one["rule"] for one in json.loads(capsys.readouterr().out)["findings"]} == {
        "NAME_MISMATCH",
        "DEPENDENCY_UNKNOWN",
    }
    assert authoring.main(["lint", str(tmp_path / "bad"), "--format", "sarif"]) == 1
    (result,) = json.loads(capsys.readouterr().out)["runs"][0]["results"]
    assert result["ruleId"] == "NAME_MISMATCH"
    assert authoring.main(["lint", str(tmp_path / "nowhere")]) == 2
    with pytest.raises(SystemExit) as usage:
        authoring.main(["lint"])
    assert usage.value.code == 2


def test_a_new_blueprint_lints_clean_and_is_never_written_over_another(tmp_path: Path) -> None:
    assert authoring.main(["new", "my-shop", "--into", str(tmp_path)]) == 0
    assert authoring.main(["lint", str(tmp_path), "--strict"]) == 0
    assert authoring.main(["new", "my-shop", "--into", str(tmp_path)]) == 2
    assert authoring.main(["new", "../evil", "--into", str(tmp_path)]) == 2


def test_an_old_shape_is_rewritten_once_and_then_stands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = document("bp-shop")
    old["apiVersion"] = "catalyst.openova.io/v1alpha1"
    old["spec"] |= {"depends": ["bp-db"], "card": {"title": "Shop", "summary": "A shop"}}
    file = write(tmp_path, "bp-shop", old)
    before = file.read_text()
    assert authoring.main(["import", str(tmp_path)]) == 0
    assert file.read_text() == before, "without --write it only tells"
    assert "spec.depends" in capsys.readouterr().out
    assert authoring.main(["import", str(tmp_path), "--write"]) == 0
    after = file.read_text()
    assert yaml.safe_load(after)["apiVersion"] == "catalyst.openova.io/v1"
    capsys.readouterr()
    assert authoring.main(["import", str(tmp_path), "--write"]) == 0
    assert (file.read_text(), capsys.readouterr().out) == (after, "")


def test_the_schema_that_is_published_is_that_of_the_model() -> None:
    assert json.loads(SCHEMA.read_text()) == authoring.schema(), "write it anew: catalyst blueprint schema"


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_linter(content: bytes) -> None:
    assert all(one.line >= 1 for one in lint({"shop": {"blueprint.yaml": content}}))


def test_what_has_one_right_answer_is_mended_and_nothing_else_is_touched(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"mode": {"enum": ["Off", "On"], "default": "Off"}}}
    file = write(tmp_path, "bp-shop", document("bp-other", configSchema=schema))
    text = "# a remark\n" + file.read_text().replace("'Off'", "Off").replace("'On'", "On")
    file.write_text(text)
    assert authoring.main(["lint", str(tmp_path), "--fix"]) == 0
    assert file.read_text() == text.replace("bp-other", "bp-shop", 1).replace(" Off", ' "Off"').replace(" On", ' "On"')
    assert authoring.main(["lint", str(tmp_path), "--strict"]) == 0
    before = file.read_text()
    assert authoring.main(["lint", str(tmp_path), "--fix"]) == 0
    assert file.read_text() == before


def test_what_only_its_author_can_mend_stays_and_is_told_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "bp-shop", depends=[{"blueprint": "bp-db", "version": "^^1"}])
    before = file.read_text()
    assert authoring.main(["lint", str(tmp_path), "--fix", "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["findings"]
    assert (found["rule"], found["fix"]) == ("RANGE_INVALID", "write a range such as ^1.4 or >=1 <3")
    assert file.read_text() == before


def test_every_fix_is_about_a_rule_that_is_told() -> None:
    sources = "".join(path.read_text() for path in Path(linting.__file__).parent.glob("*.py"))
    assert {rule for rule in linting.FIXES if sources.count(rule) < 2} == set()


def test_the_graph_is_compared_with_a_declared_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, edges in (("aa", {}), ("bb", {"aa": "*"}), ("cc", {"bb": "*", "aa": "*"})):
        write(tmp_path, f"bp-{name}", depends=needs(**edges))
    order = tmp_path / "order.txt"
    graph = ["graph", str(tmp_path), "--against", str(order)]
    order.write_text("# first\naa\nbp-bb  # second\ncc\n")
    assert authoring.main(graph) == 0
    assert capsys.readouterr().out == "1: bp-aa\n2: bp-bb\n3: bp-cc\n"
    order.write_text("bb aa dd")
    assert authoring.main(graph) == 1
    assert capsys.readouterr().err.splitlines() == [
        "bp-cc is not in the declared order", "bp-dd is declared and not there", "bp-bb comes before bp-aa, which it needs"
    ]  # fmt: skip
    write(tmp_path, "bp-aa", depends=needs(cc="*"))
    assert authoring.main(["graph", str(tmp_path)]) == 1
    assert "bp-aa > bp-cc > bp-aa" in capsys.readouterr().err
    assert authoring.main(["graph", str(tmp_path / "nowhere")]) == 2
    assert authoring.main(["graph", str(tmp_path), "--against", str(tmp_path / "none")]) in (1, 2)


def test_our_own_blueprints_can_be_installed_in_waves(capsys: pytest.CaptureFixture[str]) -> None:
    assert authoring.main(["graph", str(BLUEPRINTS)]) == 0
    assert len(capsys.readouterr().out.splitlines()) > 4


def test_what_the_catalogue_knows_may_be_needed_and_a_number_is_given_once() -> None:
    shop = {"shop": {"blueprint.yaml": yaml.safe_dump(document("bp-shop", "1.0.0", depends=needs(db="^2"))).encode()}}
    known = {"bp-db": ["3.0.0", "2.1.0"], "bp-shop": ["1.0.0"]}

    def others(name: str) -> list[Known]:
        return [Known(v, Manifest.model_validate(document(name, v))) for v in known.get(name, [])]

    assert [(one.rule, one.level) for one in lint(shop, others)] == [("VERSION_PUBLISHED", WARNING)]
    known.update({"bp-db": ["3.0.0", "1.0.0"], "bp-shop": ["0.9.0"]})
    (found,) = lint(shop, others)
    assert (found.rule, found.message) == ("RANGE_UNSATISFIED", "bp-db is 3.0.0, 1.0.0, which ^2 leaves out")


def test_a_circle_through_the_catalogue_is_told_at_what_closes_it() -> None:
    def others(name: str) -> list[Known]:
        edges = {"bp-aa": needs(shop="*")}.get(name)
        return [Known("1.0.0", Manifest.model_validate(document(name, depends=edges)))] if edges else []

    shop = {"shop": {"blueprint.yaml": yaml.safe_dump(document("bp-shop", depends=needs(aa="*"))).encode()}}
    (found,) = lint(shop, others)
    assert (found.rule, found.level) == ("DEPENDENCY_CYCLE", ERROR)


def test_of_a_document_alone_nothing_is_said_about_its_pictures() -> None:
    one = document("bp-shop")
    one["spec"]["card"]["icon"] = "icon.svg"
    alone = {"shop": {"blueprint.yaml": yaml.safe_dump(one).encode()}}
    assert [found.rule for found in lint(alone)] == ["ICON_UNSAFE"]
    assert lint(alone, has_pictures=False) == []
