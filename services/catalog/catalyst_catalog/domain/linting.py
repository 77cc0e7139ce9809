"""What is wrong with folders of Blueprints: the rules by which the catalogue takes them, and those that only an author needs.

Everything that is cheap is looked at, and all of it told, with the line on which it stands.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from . import config_schema, documents, ranges, whens
from .closure import find_cycle
from .inspection import FILE, Finding, Inspected, Rejected, inspect
from .manifest import Manifest
from .refusals import ConfigInvalid

ERROR, WARNING = "error", "warning"
_LOOSE = re.compile(r"(?i:on|off|yes|no|y|n)")
"""Words that readers of YAML 1.1 take for booleans."""
_SECRET = re.compile(r"(?i)(password|passwd|token|secret|api_?key|private_?key)$")
_SIZES = frozenset({"pdb", "hpa", "backups"})
"""Keys of an overlay that are no part of the configuration."""


FIXES: Mapping[str, str] = {
    "CARD_INCOMPLETE": "say it, or do not list the Blueprint",
    "DEPENDENCY_CYCLE": "take one of these needs away",
    "DEPENDENCY_UNKNOWN": "lint it together with the Blueprints that it needs",
    "ICON_UNSAFE": "draw it anew, or leave it out: then its initials are shown",
    "KIND_UNPROVIDED": "need a Blueprint that provides it",
    "MANIFEST_MISSING": "catalyst blueprint new NAME writes one",
    "NAME_INVALID": "bp- and small letters, digits and hyphens, a letter first",
    "NAME_MISMATCH": "--fix names it after its folder",
    "OVERLAY_INVALID": "correct the overlay, or what configSchema allows",
    "RANGE_INVALID": "write a range such as ^1.4 or >=1 <3",
    "RANGE_UNSATISFIED": "widen the range",
    "SECRET_IN_VALUES": "name a configuration field, or a secret by reference",
    "UNKNOWN_SHAPE": "catalyst blueprint import brings two older shapes into this one",
    "UNQUOTED_BOOLEAN": "--fix quotes it",
    "VERSION_PUBLISHED": "give spec.version the next number",
    "WHEN_PATH_UNKNOWN": "declare it in configSchema",
}
"""What to do about a rule that was broken."""


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """One thing that is wrong: where, by which rule, how bad, and the sentence."""

    folder: str
    line: int
    column: int
    rule: str
    level: str
    message: str
    field: str = ""

    @property
    def file(self) -> str:
        return f"{self.folder}/{FILE}"

    @property
    def fix(self) -> str:
        """What to do about it; empty where the message says all of it."""
        return FIXES.get(self.rule, "")


@dataclass(frozen=True, slots=True)
class Known:
    """One version of a Blueprint beside those that are looked at; a manifest in a folder may leave its number out."""

    version: str
    manifest: Manifest


Others = Callable[[str], Sequence[Known]]
"""What is known elsewhere under a name, highest version first; empty for an unknown name."""


def nobody(_: str) -> Sequence[Known]:
    """Nothing but the folders themselves is known: an author's own machine."""
    return ()


def lint(
    folders: Mapping[str, Mapping[str, bytes]], others: Others = nobody, *, has_pictures: bool = True
) -> list[Found]:
    """Everything wrong in these folders, by name of the folder: files by path.

    others         Blueprints that may be needed though they are not among these folders
    has_pictures   whether the pictures of the cards are among the files; where not, nothing is said of them
    """
    found: list[Found] = []
    passed: dict[str, tuple[str, Inspected]] = {}
    for folder, files in folders.items():
        node = composed(files.get(FILE, b""))
        try:
            inspected = inspect(folder, files, has_pictures=has_pictures)
        except Rejected as rejected:
            found += [_found(folder, node, one, ERROR) for one in rejected.findings]
            continue
        passed[inspected.manifest.name] = folder, inspected
        found += [_found(folder, node, one, WARNING) for one in inspected.warnings]
        found += [_found(folder, node, one, ERROR) for one in _own(inspected.manifest)]
        found += [_loose(folder, one) for one in loose_words(node)]
    own = {name: one.manifest for name, (_, one) in passed.items()}
    for folder, inspected in passed.values():
        node = composed(folders[folder][FILE])
        found += [_found(folder, node, one, level) for one, level in _among(inspected.manifest, own, others)]
    return sorted(found)


def _own(manifest: Manifest) -> Iterator[Finding]:
    """Rules about one manifest by itself."""
    spec = manifest.spec
    fields = set(_paths(spec.config_schema))
    for n, edge in enumerate(spec.depends):
        for path in whens.parse(edge.when).paths() if edge.when else ():
            root, _, rest = path.partition(".")
            if root == "config" and rest not in fields:
                yield Finding("validate", "WHEN_PATH_UNKNOWN", f"configSchema has no {rest}", f"spec.depends.{n}.when")
        for path in _secrets(edge.values):
            yield Finding("validate", "SECRET_IN_VALUES", f"{path} is written out", f"spec.depends.{n}.values")
    for size, overlay in spec.manifests.overlays.items() if spec.manifests else ():
        at = f"spec.manifests.overlays.{size}"
        config = {key: value for key, value in overlay.items() if key not in _SIZES}
        for path in _secrets(config):
            yield Finding("validate", "SECRET_IN_VALUES", f"{path} is written out", at)
        try:
            config_schema.normalise(spec.config_schema, config)
        except ConfigInvalid as refusal:
            for violation in refusal.violations:
                if violation.rule != "required":
                    message = f"{violation.field} {violation.description}"
                    yield Finding("validate", "OVERLAY_INVALID", message, f"{at}{violation.field.replace('/', '.')}")


def _among(manifest: Manifest, own: Mapping[str, Manifest], others: Others) -> Iterator[tuple[Finding, str]]:
    """Rules about a manifest beside the others that are looked at, and those that are known elsewhere."""

    def known(name: str) -> Sequence[Known]:
        return [Known(own[name].spec.version or "", own[name])] if name in own else others(name)

    if manifest.spec.version in {one.version for one in others(manifest.name)} - {""}:
        message = f"{manifest.name} {manifest.spec.version} is published already, and other bytes never take its place"
        yield Finding("validate", "VERSION_PUBLISHED", message, "spec.version"), WARNING
    for n, edge in enumerate(manifest.spec.depends):
        at, found = f"spec.depends.{n}", known(edge.blueprint)
        versions = [one.version for one in found]
        if not found:
            yield Finding("validate", "DEPENDENCY_UNKNOWN", f"{edge.blueprint} is not among these", at), WARNING
        elif not any(not version or ranges.matches(edge.version, version) for version in versions):
            message = f"{edge.blueprint} is {', '.join(versions[:3])}, which {edge.version} leaves out"
            yield Finding("validate", "RANGE_UNSATISFIED", message, f"{at}.version"), ERROR
    reached = _reached(known, manifest.name)
    circle = find_cycle({name: [edge.blueprint for edge in one.spec.depends] for name, one in reached.items()})
    # Told once, by the first of its names that is looked at.
    if circle is not None and next((name for name in circle if name in own), "") == manifest.name:
        yield Finding("validate", "DEPENDENCY_CYCLE", " > ".join(circle), "spec.depends"), ERROR
    provided = {kind for one in reached.values() for kind in one.spec.provides}
    for kind in manifest.spec.requires_kinds:
        if kind not in provided and all(known(edge.blueprint) for edge in manifest.spec.depends):
            message = f"{kind} is rendered, and nothing that it needs provides that"
            yield Finding("validate", "KIND_UNPROVIDED", message, "spec.requiresKinds"), ERROR


def _reached(known: Others, start: str) -> dict[str, Manifest]:
    """What is needed from there on, each by its highest version."""
    reached: dict[str, Manifest] = {}
    open_names = [start]
    while open_names:
        name = open_names.pop()
        if name not in reached and (found := known(name)):
            reached[name] = found[0].manifest
            open_names.extend(edge.blueprint for edge in found[0].manifest.spec.depends)
    return reached


def _paths(schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    """Every path of a configuration, with dots, objects too."""
    for name, node in schema.get("properties", {}).items():
        yield f"{at}{name}"
        yield from _paths(node, f"{at}{name}.")


def _secrets(values: Any, at: str = "") -> Iterator[str]:
    """Paths whose name says that a secret stands there, and where plain text does."""
    if not isinstance(values, Mapping):
        return
    for name, value in values.items():
        path = f"{at}/{name}"
        if isinstance(value, str) and value and "{" not in value and _SECRET.search(name):
            yield path
        yield from _secrets(value, path)


def composed(content: bytes) -> yaml.Node | None:
    """The nodes of a document, for their places in the text; None where it cannot be read."""
    try:
        documents.read(content)
        return yaml.compose(content.decode(), Loader=yaml.SafeLoader)
    except (documents.Unreadable, yaml.YAMLError, ValueError):
        return None


def loose_words(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Values without quotes that other readers take for booleans."""
    return (one for one in _scalars(node) if one.style is None and _LOOSE.fullmatch(one.value))


def at(node: yaml.Node | None, field: str) -> yaml.Node | None:
    """The node of a path such as `metadata.name`; None where there is none."""
    for step in field.split("."):
        inner = _child(node, step)
        if inner is None:
            return None
        node = inner[1]
    return node


def _scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Values of a document that are no key."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for inner in node.value:
            yield from _scalars(inner)
    elif isinstance(node, yaml.MappingNode):
        for _, inner in node.value:
            yield from _scalars(inner)


def _loose(folder: str, node: yaml.ScalarNode) -> Found:
    mark = node.start_mark
    message = f"{node.value} is text here and a boolean to other readers: quote it"
    return Found(folder, mark.line + 1, mark.column + 1, "UNQUOTED_BOOLEAN", WARNING, message)


def _found(folder: str, node: yaml.Node | None, one: Finding, level: str) -> Found:
    line, column = _place(node, one.field)
    told = re.match(r"line (\d+): ", one.message)
    if told:
        line = int(told[1])
    return Found(folder, line, column, one.reason, level, one.message, one.field)


def _place(node: yaml.Node | None, field: str) -> tuple[int, int]:
    """Line and column of a path such as `spec.depends.0.when`, or of the nearest part of it that is there."""
    mark = node.start_mark if node else None
    for step in filter(None, field.split(".")):
        inner = _child(node, step)
        if inner is None:
            break
        mark, node = inner
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _child(node: yaml.Node | None, step: str) -> tuple[Any, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and step.isdecimal() and int(step) < len(node.value):
        return node.value[int(step)].start_mark, node.value[int(step)]
    return None
