"""From the files of one folder to a checked manifest, or to every reason why not."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from catalyst_sdk import Violation

from . import documents, importer, manifest
from .importer import Change
from .manifest import Manifest
from .manifest_parts import Visibility

FILE = "blueprint.yaml"
LARGEST_ICON = 64 * 1024
LARGEST_SCREENSHOT = 1024 * 1024
_UNSAFE_SVG = re.compile(
    rb"<\s*(script|foreignObject|a|iframe|use|image)\b|\bon\w+\s*=|javascript:|(xlink:)?href\s*=", re.I
)
_REASON = re.compile(r"^([A-Z][A-Z_]{3,62}): ")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong with an item of a source: at which stage, which reason, where."""

    stage: str
    reason: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class Inspected:
    """A manifest that passed, with what the importer changed and what its author should still say."""

    manifest: Manifest
    changes: tuple[Change, ...] = ()
    warnings: tuple[Finding, ...] = ()


class Rejected(ValueError):
    """An item that cannot be published; one finding per reason."""

    def __init__(self, *findings: Finding) -> None:
        super().__init__("; ".join(f"{f.reason}: {f.message}" for f in findings))
        self.findings = findings


def inspect(folder: str, files: Mapping[str, bytes], *, has_pictures: bool = True) -> Inspected:
    """Parse, import and validate the folder `folder`; without `has_pictures` its pictures are not looked at. Raises Rejected."""
    content = files.get(FILE)
    if content is None:
        raise Rejected(Finding("parse", "MANIFEST_MISSING", f"there is no {FILE} in {folder}"))
    document, changes = _imported(content)
    name = document["metadata"]["name"]
    findings = list(_name_faults(folder, name))
    try:
        checked = manifest.check(document)
    except manifest.ManifestInvalid as error:
        raise Rejected(*findings, *_by_reason(error.violations)) from error
    if has_pictures:
        findings += _unsafe_files(checked, files)
    if findings:
        raise Rejected(*findings)
    return Inspected(checked, changes, tuple(_warnings(checked)))


def _imported(content: bytes) -> tuple[documents.Document, tuple[Change, ...]]:
    try:
        return importer.normalise(documents.read(content))
    except documents.Unreadable as error:
        raise Rejected(Finding("parse", "MANIFEST_UNREADABLE", str(error))) from error
    except importer.UnknownShape as error:
        raise Rejected(Finding("import", "UNKNOWN_SHAPE", str(error))) from error


def _name_faults(folder: str, name: str) -> Iterator[Finding]:
    if name != f"{importer.PREFIX}{folder}":
        message = f"{name} stands in the folder {folder}, which holds {importer.PREFIX}{folder}"
        yield Finding("validate", "NAME_MISMATCH", message, "metadata.name")
    if not re.fullmatch(r"bp-[a-z][a-z0-9-]{0,61}[a-z0-9]", name):
        yield Finding("validate", "NAME_INVALID", f"{name[:80]} is no name of a Blueprint", "metadata.name")


def _by_reason(violations: tuple[Violation, ...]) -> Iterator[Finding]:
    """One finding per reason, with the sentences of all its fields."""
    grouped: dict[str, list[Violation]] = {}
    for violation in violations:
        found = _REASON.match(violation.description)
        grouped.setdefault(found[1] if found else _reason_of(violation), []).append(violation)
    for reason, group in grouped.items():
        sentences = "; ".join(f"{v.field}: {_REASON.sub('', v.description)}" for v in group)
        yield Finding("validate", reason, sentences, group[0].field)


def _reason_of(violation: Violation) -> str:
    is_path = violation.field.endswith(("icon", "chart")) or ".screenshots." in violation.field
    return "PATH_ESCAPES" if is_path and "pattern" in violation.rule else "MANIFEST_INVALID"


def _unsafe_files(checked: Manifest, files: Mapping[str, bytes]) -> Iterator[Finding]:
    card = checked.spec.card
    pictures = [("icon", card.icon, LARGEST_ICON)] if card.icon else []
    pictures += [(f"screenshots.{n}", path, LARGEST_SCREENSHOT) for n, path in enumerate(card.screenshots)]
    for name, path, largest in pictures:
        if why := _unsafe(path, files.get(path), largest):
            yield Finding("validate", "ICON_UNSAFE", f"{path}: {why}", f"spec.card.{name}")


def _unsafe(path: str, content: bytes | None, largest: int) -> str:
    if content is None:
        return "it is not in the folder"
    if len(content) > largest:
        return f"{len(content)} bytes, the limit is {largest}"
    if path.endswith(".svg"):
        return "script, link or foreign object inside" if _UNSAFE_SVG.search(content) else ""
    return "" if content.startswith(b"\x89PNG\r\n\x1a\n") else "neither svg nor png"


def _warnings(checked: Manifest) -> Iterator[Finding]:
    spec = checked.spec
    if spec.visibility is Visibility.LISTED:
        needed = {
            "card.category": spec.card.category,
            "card.licence": spec.card.licence,
            "card.documentation": spec.card.documentation,
            "owner.team": spec.owner.team,
            "owner.contact": spec.owner.contact,
        }
        missing = [name for name, value in needed.items() if not value]
        if missing:
            message = f"a listed Blueprint says {', '.join(missing)}"
            yield Finding("validate", "CARD_INCOMPLETE", message, f"spec.{missing[0]}")
