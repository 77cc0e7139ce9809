"""From the release before to this one: its values still count, and nothing is changed that a cluster holds fixed."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst_testkit import releases

from .charts import CHART, ROOT, Rendered, render

PLACE = CHART.relative_to(ROOT)
VALUES = {
    "sovereign": {"name": "home"},
    "image": {"registry": "registry.example/catalyst"},
    "postgresql": {"bundled": True},
    "powerdns": {"bundled": True},
    "provisioner": {"replicas": 2, "persistence": {"accessMode": "ReadWriteMany"}},
}  # fmt: skip - a table
FIXED = ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates")
"""Of what runs pods; a StatefulSet with another of these is refused (apps/v1, "updates to statefulset spec")."""
Schema = Mapping[str, Any]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of charts of the release before."""
    tree = releases.unpack(ROOT, releases.earlier(ROOT), tmp_path_factory.mktemp("before"), str(PLACE.parent))
    return tree / PLACE.parent


@pytest.fixture(scope="module")
def both(before: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rendered, Rendered]:
    """The release before and this one, of the same values."""
    home = tmp_path_factory.mktemp("helm")
    return tuple(render(home=home, values=VALUES, chart=chart) for chart in (before / PLACE.name, CHART))  # type: ignore[return-value]  # of two


def test_nothing_changes_that_a_cluster_holds_fixed(both: tuple[Rendered, Rendered]) -> None:
    old, new = (
        {
            (one["kind"], one["metadata"]["name"]): one["spec"]
            for one in each.of("Deployment", "StatefulSet", "PersistentVolumeClaim")
        }
        for each in both
    )
    assert old.keys() <= new.keys(), "what keeps data is not given up for another"
    for name in old:
        if name[0] == "PersistentVolumeClaim":
            assert new[name] == old[name], name
        for field in FIXED:
            assert new[name].get(field) == old[name].get(field), (name, field)


def test_objects_of_the_release_before_are_still_right(both: tuple[Rendered, Rendered]) -> None:
    old, new = ({one["metadata"]["name"]: one["spec"] for one in each.of("CustomResourceDefinition")} for each in both)
    assert old.keys() <= new.keys()
    for name, definition in old.items():
        for version in definition["versions"]:
            (now,) = [each for each in new[name]["versions"] if each["name"] == version["name"]]
            assert now["served"], name
            schemas = (each["schema"]["openAPIV3Schema"] for each in (version, now))
            assert list(narrowed(name, *schemas)) == []


def narrowed(where: str, old: Schema, new: Schema) -> Iterator[str]:
    """What an object might have had before and may not have now."""
    if missing := set(new.get("required", ())) - set(old.get("required", ())):
        yield f"{where}: {', '.join(sorted(missing))} is demanded"
    if old.get("type") != new.get("type"):
        yield f"{where} is of another type"
    if "enum" in new and not set(old.get("enum", ())) <= set(new["enum"]):
        yield f"{where} takes fewer values"
    for name, field in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from narrowed(f"{where}.{name}", field, new["properties"][name])
        elif not new.get("x-kubernetes-preserve-unknown-fields"):
            yield f"{where}.{name} is pruned"
    if "items" in old and "items" in new:
        yield from narrowed(f"{where}[]", old["items"], new["items"])


def test_a_field_that_goes_is_demanded_or_takes_less_is_found() -> None:
    old = {
        "type": "object",
        "properties": {
            "a": {"enum": ["x", "y"]},
            "b": {"type": "string"},
            "c": {"type": "array", "items": {"type": "string"}},
        },
    }
    new = {
        "type": "object",
        "required": ["d"],
        "properties": {"a": {"enum": ["x"]}, "c": {"type": "array", "items": {"type": "integer"}}},
    }
    assert sorted(narrowed("spec", old, new)) == [
        "spec.a takes fewer values",
        "spec.b is pruned",
        "spec.c[] is of another type",
        "spec: d is demanded",
    ]


def test_values_of_the_release_before_still_count(before: Path, tmp_path: Path) -> None:
    for path in sorted((before / "examples").glob("*.yaml")):
        values = yaml.safe_load(path.read_text()) | {"crds": {"install": False}}
        assert render(home=tmp_path, values=values).objects, path.name
