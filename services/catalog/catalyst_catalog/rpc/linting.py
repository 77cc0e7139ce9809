"""What is wrong with a document that is being written, as a message."""

from collections.abc import Sequence
from typing import Any

from catalyst.catalog.v1 import service_pb2 as rpc

from ..domain import documents
from ..domain.importer import PREFIX
from ..domain.inspection import FILE
from ..domain.linting import ERROR, WARNING, Found, Known, lint
from ..domain.mending import mended
from ..domain.universe import Universe

LEVELS = {ERROR: rpc.LintFinding.LEVEL_ERROR, WARNING: rpc.LintFinding.LEVEL_WARNING}


def look_at(universe: Universe, text: str, folder: str = "") -> rpc.LintBlueprintResponse:
    """Findings about one document in its folder, beside the Blueprints of a catalogue."""
    content = text.encode()
    name, version = _said(content)
    folder = folder or name.removeprefix(PREFIX)

    def others(name: str) -> Sequence[Known]:
        return [Known(one.version, one.manifest) for one in universe.releases(name) if one.is_offered]

    found = lint({folder: {FILE: content}}, others, has_pictures=False)
    return rpc.LintBlueprintResponse(
        acceptable=not any(one.level == ERROR for one in found),
        findings=[_finding(one) for one in found],
        folder=folder,
        blueprint=name,
        version=version,
        mended_document=mended({folder: {FILE: content}}, found).get(folder, b"").decode(),
    )


def _said(content: bytes) -> tuple[str, str]:
    """Name and version that a document gives itself; empty where it does not, or not as text."""
    try:
        document = documents.read(content)
    except documents.Unreadable:
        return "", ""
    return _text(document.get("metadata"), "name"), _text(document.get("spec"), "version")


def _text(part: Any, key: str) -> str:
    value = part.get(key) if isinstance(part, dict) else None
    return value if isinstance(value, str) else ""


def _finding(one: Found) -> rpc.LintFinding:
    return rpc.LintFinding(
        rule=one.rule,
        level=LEVELS[one.level],
        line=one.line,
        column=one.column,
        field=one.field,
        message=one.message,
        fix=one.fix,
    )
