"""Older shapes: this repository's Blueprints, written as their originals were, come back as they are."""

from typing import Any

import pytest
import yaml
from catalyst_catalog.domain import documents, importer
from catalyst_catalog.domain.importer import Shape, UnknownShape, shape_of
from catalyst_catalog.domain.inspection import inspect

from .makers import BLUEPRINTS, document

B = {
    "alloy",
    "coraza",
    "falco",
    "grafana",
    "harbor",
    "kyverno",
    "langfuse",
    "litmus",
    "loki",
    "mimir",
    "opentelemetry",
    "reloader",
    "seaweedfs",
    "sigstore",
    "syft-grype",
    "tempo",
    "trivy",
    "velero",
    "vpa",
}  # fmt: skip - reads as a list
"""Folders whose originals had the second shape; three others had no manifest at all, planned ones neither."""
WITHOUT = {"axon", "catalyst-platform", "external-dns"}


def current(folder: str) -> dict[str, Any]:
    return documents.read((BLUEPRINTS / folder / "blueprint.yaml").read_bytes())


def released() -> list[str]:
    folders = sorted(path.name for path in BLUEPRINTS.iterdir() if path.is_dir())
    return [name for name in folders if "version" in current(name)["spec"] and name not in WITHOUT]


def as_a(folder: str) -> dict[str, Any]:
    """The first shape: `v1alpha1`, the layer only as a section."""
    old = current(folder)
    old["apiVersion"] = "catalyst.openova.io/v1alpha1"
    if "catalyst.openova.io/section" in old["metadata"].get("labels", {}):
        del old["spec"]["layer"]
    for flag in ("status", "optIn"):
        old["spec"].pop(flag, None)
    old["metadata"].pop("annotations", None)
    card = old["spec"]["card"]
    card["summary"] = card.pop("tagline")
    if "licence" in card:
        card["license"] = card.pop("licence")
    return old


def as_b(folder: str) -> dict[str, Any]:
    """The second shape: bare names, version beside the name, family inside the card."""
    old = as_a(folder)
    old["apiVersion"] = "catalyst.openova.io/v1"
    old["metadata"]["name"] = folder
    old["metadata"]["version"] = old["spec"].pop("version")
    card = old["spec"]["card"]
    card["description"] = card.pop("summary")
    card["docs"] = card.pop("documentation")
    family = old["spec"].pop("family")
    card["family"] = "foundation" if family == "silo" else family
    old["spec"]["depends"] = [edge["blueprint"].removeprefix("bp-") for edge in old["spec"].get("depends", ())]
    del old["spec"]["visibility"]
    return old


def test_48_originals_of_two_shapes_are_imported_and_a_second_import_changes_nothing() -> None:
    names = released()
    assert (len(names), len(B)) == (48, 19)
    for folder in names:
        original = as_b(folder) if folder in B else as_a(folder)
        assert shape_of(original) is (Shape.B if folder in B else Shape.A)
        found = inspect(folder, {"blueprint.yaml": yaml.safe_dump(original).encode()})
        assert found.changes
        again = inspect(folder, {"blueprint.yaml": yaml.safe_dump(found.manifest.as_document()).encode()})
        assert again.changes == ()
        assert again.manifest == found.manifest


def test_an_imported_original_says_what_the_current_manifest_says() -> None:
    for folder in released():
        original = as_b(folder) if folder in B else as_a(folder)
        spec = inspect(folder, {"blueprint.yaml": yaml.safe_dump(original).encode()}).manifest.spec
        wanted = inspect(
            folder, {"blueprint.yaml": (BLUEPRINTS / folder / "blueprint.yaml").read_bytes()}
        ).manifest.spec
        assert (spec.version, spec.visibility, spec.family) == (wanted.version, wanted.visibility, wanted.family)
        # Langfuse stood in a chapter on observability, which says nothing about where it runs.
        assert spec.layer == wanted.layer or folder == "langfuse"
        assert [d.blueprint for d in spec.depends] == [d.blueprint for d in wanted.depends]


def test_every_change_is_listed_with_its_rule() -> None:
    old = as_b("harbor")
    old["spec"]["placementSchema"] = {
        "modes": ["singleton", "active-hot-standby"],
        "default": "singleton",
        "maxRegions": 2,
    }
    old["spec"]["depends"] = ["cnpg", {"blueprint": "bp-valkey", "when": "{{ .config.cache == true }}"}]
    found, changes = importer.normalise(old)
    assert found["spec"]["depends"] == [
        {"blueprint": "bp-cnpg", "version": "*"}, {"blueprint": "bp-valkey", "when": "config.cache == true"},
    ]  # fmt: skip
    assert found["spec"]["placementSchema"]["modes"] == ["single-region", "active-hotstandby"]
    assert [change.rule for change in changes] == [
        "name-prefix", "version-place", "docs", "description", "family-place", "family-name", "section-layer",
        "bare-dependency", "name-prefix", "when-braces", "placement-mode", "placement-mode", "visibility-absent",
    ]  # fmt: skip


def test_the_given_document_is_not_touched() -> None:
    old = as_b("harbor")
    before = yaml.safe_dump(old)
    importer.normalise(old)
    assert yaml.safe_dump(old) == before


@pytest.mark.parametrize(
    "change",
    [
        {"apiVersion": "v1"},
        {"kind": "Chart"},
        {"apiVersion": "catalyst.openova.io/v1alpha1", "metadata": {"name": "shop"}},
        {"spec": {"card": {"title": "Shop", "docs": "https://x.example"}}},
        {"metadata": {"name": "shop"}, "spec": {"card": {"summary": "both", "docs": "https://x.example"}}},
        {"spec": {}},
        {"metadata": {"name": 3}},
    ],
)
def test_mixed_shapes_and_strangers_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UnknownShape):
        importer.normalise(document("bp-shop") | change)
