"""`catalyst resource`: what is wrong with a manifest is told by its field, and nothing else of a folder is looked at."""

import json
from pathlib import Path

import pytest
import yaml
from catalyst_cli.tree import build
from typer.testing import CliRunner

SAMPLES = Path("deploy/samples")


def test_the_samples_are_clean() -> None:
    done = CliRunner().invoke(build("resource"), ["resource", "lint", str(SAMPLES), "deploy/helm/examples"])
    assert (done.exit_code, done.output) == (0, "")


def test_a_wrong_manifest_is_told_by_file_object_and_field(tmp_path: Path) -> None:
    one = yaml.safe_load((SAMPLES / "environment.yaml").read_text())
    one["spec"]["envTipe"] = one["spec"].pop("envType")
    (tmp_path / "env.yaml").write_text(yaml.safe_dump_all([{"kind": "Pod"}, one]))
    done = CliRunner().invoke(build("resource"), ["resource", "lint", str(tmp_path), "--output", "json"])
    assert done.exit_code == 1
    found = json.loads(done.output)["findings"]
    assert {each["object"] for each in found} == {f"{tmp_path}/env.yaml: Environment/acme-prod"}
    said = {each["field"]: each["message"] for each in found}
    assert said["spec.envTipe"] == "there is no such field; envType is meant"


@pytest.mark.parametrize("words", [["schema", "Application"], ["schema", "Application", "--crd"], ["kinds"]])
def test_schemas_and_kinds_are_printed(words: list[str]) -> None:
    done = CliRunner().invoke(build("resource"), ["resource", *words])
    assert done.exit_code == 0
    assert "Application" in done.output


def test_where_nothing_is_checked_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text("kind: Pod")
    assert (
        "no object of these kinds" in CliRunner().invoke(build("resource"), ["resource", "lint", str(tmp_path)]).stderr
    )
