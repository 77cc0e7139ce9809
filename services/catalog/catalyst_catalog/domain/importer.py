"""Older shapes of a manifest become the current one; every change is listed, and importing twice changes nothing.

Shape A  `v1alpha1`: the name has its prefix; `card.summary`, `card.category`, `card.documentation`.
Shape B  `v1`:       the name is bare; `card.family`, `card.description`, `card.docs`.
"""

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .manifest import API_VERSION, NO_UPSTREAM

LAYERS = {"pts-2": "control-plane", "pts-3": "host-infra", "pts-4": "application"}
SECTION = "catalyst.openova.io/section"
FAMILIES = {"foundation": "silo"}
MODES = {"singleton": "single-region", "active-hot-standby": "active-hotstandby"}
ONLY_B = ("family", "description", "docs")
PREFIX = "bp-"


class Shape(Enum):
    CURRENT = "current"
    A = "v1alpha1"
    B = "v1"


class UnknownShape(ValueError):
    """Neither the current shape nor one of the two older ones."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that the importer changed."""

    path: str
    before: Any
    after: Any
    rule: str


def normalise(document: dict[str, Any]) -> tuple[dict[str, Any], tuple[Change, ...]]:
    """The document in the current shape, and what was changed for it. Raises UnknownShape."""
    shape = shape_of(document)
    if shape is Shape.CURRENT:
        return document, ()
    editor = Editor(copy.deepcopy(document))
    for rule in RULES:
        rule(editor)
    return editor.document, tuple(editor.changes)


def shape_of(document: dict[str, Any]) -> Shape:
    """Which shape a document has. Raises UnknownShape for none, and for two mixed."""
    version, name = document.get("apiVersion"), _at(document, "metadata", "name")
    card = _at(document, "spec", "card")
    if document.get("kind") != "Blueprint" or not isinstance(name, str) or not isinstance(card, dict):
        raise UnknownShape("kind Blueprint with metadata.name and spec.card is expected")
    has_prefix, has_b = name.startswith(PREFIX), any(word in card for word in ONLY_B)
    if version == "catalyst.openova.io/v1alpha1" and has_prefix and not has_b:
        return Shape.A
    if version == API_VERSION and has_prefix and not has_b:
        return Shape.CURRENT
    if version == API_VERSION and not has_prefix and not any(word in card for word in ("summary", "documentation")):
        return Shape.B
    raise UnknownShape(f"{version} with name {name} mixes shapes, or is none")


class Editor:
    """Edits a document and writes down each change."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.changes: list[Change] = []

    def part(self, *path: str) -> dict[str, Any]:
        """The mapping at `path`; an empty one that is part of nothing where there is none."""
        found = _at(self.document, *path)
        return found if isinstance(found, dict) else {}

    def put(self, path: str, value: Any, rule: str) -> None:
        """Set the value at a dotted path, making mappings on the way."""
        *parents, last = path.split(".")
        node = self.document
        for step in parents:
            node = node.setdefault(step, {})
        self.changes.append(Change(path, node.get(last), value, rule))
        node[last] = value

    def move(self, old: str, new: str, rule: str, change: Callable[[Any], Any] = lambda value: value) -> None:
        """Take the value at `old` away and put it at `new`, unless something stands there."""
        *parents, last = old.split(".")
        node = self.part(*parents)
        if last in node:
            value = node.pop(last)
            if _at(self.document, *new.split(".")) is None:
                self.put(new, change(value), rule)
            else:
                self.changes.append(Change(old, value, None, rule))


def _api_version(edit: Editor) -> None:
    if edit.document["apiVersion"] != API_VERSION:
        edit.put("apiVersion", API_VERSION, "api-version")


def _name(edit: Editor) -> None:
    name = edit.document["metadata"]["name"]
    if not name.startswith(PREFIX):
        edit.put("metadata.name", PREFIX + name, "name-prefix")


def _card(edit: Editor) -> None:
    edit.move("metadata.version", "spec.version", "version-place")
    edit.move("spec.card.docs", "spec.card.documentation", "docs")
    edit.move("spec.card.description", "spec.card.summary", "description")
    edit.move("spec.card.license", "spec.card.licence", "licence")
    edit.move("spec.card.family", "spec.family", "family-place")
    family = edit.part("spec").get("family")
    if family in FAMILIES:
        edit.put("spec.family", FAMILIES[family], "family-name")


def _layer(edit: Editor) -> None:
    section = str(edit.part("metadata", "labels").get(SECTION, ""))
    layer = LAYERS.get(section[:5])
    if "layer" not in edit.part("spec") and layer:
        edit.put("spec.layer", layer, "section-layer")


def _depends(edit: Editor) -> None:
    edges = edit.part("spec").get("depends")
    if not isinstance(edges, list):
        return
    for n, edge in enumerate(edges):
        edges[n] = _dependency(edit, n, edge)


def _dependency(edit: Editor, n: int, edge: Any) -> Any:
    path = f"spec.depends.{n}"
    if isinstance(edge, str):
        edge, before = {"blueprint": edge, "version": "*"}, edge
        edit.changes.append(Change(path, before, dict(edge), "bare-dependency"))
    if not isinstance(edge, dict):
        return edge
    name = edge.get("blueprint")
    if isinstance(name, str) and not name.startswith(PREFIX):
        edit.changes.append(Change(f"{path}.blueprint", name, PREFIX + name, "name-prefix"))
        edge = {**edge, "blueprint": PREFIX + name}
    when = edge.get("when")
    braces = re.fullmatch(r"\s*\{\{-?\s*\.?(.*?)\s*-?\}\}\s*", when) if isinstance(when, str) else None
    if braces:
        edit.changes.append(Change(f"{path}.when", when, braces[1], "when-braces"))
        edge = {**edge, "when": braces[1]}
    return edge


def _placement(edit: Editor) -> None:
    placement = edit.part("spec").get("placementSchema")
    if placement is None:
        single = {"modes": ["single-region"], "default": "single-region", "minRegions": 1, "maxRegions": 1}
        edit.put("spec.placementSchema", single, "placement-absent")
    elif isinstance(placement, dict):
        for path, renamed in _renamed_modes(placement):
            edit.put(f"spec.placementSchema.{path}", renamed, "placement-mode")


def _renamed_modes(placement: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    modes = placement.get("modes")
    if isinstance(modes, list) and any(mode in MODES for mode in modes):
        yield "modes", [MODES.get(mode, mode) for mode in modes]
    for name in ("default", "defaultOnMultiRegion"):
        if placement.get(name) in MODES:
            yield name, MODES[placement[name]]


def _visibility(edit: Editor) -> None:
    if "visibility" not in edit.part("spec"):
        edit.put("spec.visibility", "unlisted", "visibility-absent")


def _upstream(edit: Editor) -> None:
    manifests = edit.part("spec", "manifests")
    annotations = edit.part("metadata", "annotations")
    if manifests and not manifests.get("upstream") and annotations.get(NO_UPSTREAM) != "true":
        edit.put("metadata.annotations", {**annotations, NO_UPSTREAM: "true"}, "no-upstream")


RULES: tuple[Callable[[Editor], None], ...] = (
    _api_version,
    _name,
    _card,
    _layer,
    _depends,
    _placement,
    _visibility,
    _upstream,
)  # fmt: skip - reads as a list


def _at(document: Any, *path: str) -> Any:
    for step in path:
        if not isinstance(document, dict):
            return None
        document = document.get(step)
    return document
