"""What keeps the house: plugins, sources of the catalogue, events that nobody could handle, the bus."""

import json

from .asking import together
from .faults import NONE, REFUSALS, Faults
from .visits import Shown, Visit, action, page

_KINDS = (
    ("git", "a Git repository"),
    ("oci_index", "a registry"),
    ("directory", "a folder of the daemon"),
    ("kubernetes", "objects of a cluster"),
)
"""Plugins that read sources, with words for them. Another plugin's kind is named by `catalyst catalog source create`."""


@page("/console/admin")
async def overview(at: Visit) -> Shown:
    """Daemons at the bus, and plugins with what is wrong with them; a security-officer begins with who did what."""
    if not at.person.has_any(("sovereign-admin",)):
        return at.go("/console/admin/audit")
    plugins, bus = await together(at.api.plugins(), at.api.get("/v1/busReports"))
    return at.show("admin.html", title="Admin", tab="", plugins=plugins, reports=bus["reports"])


@page("/console/admin/sources")
async def sources(at: Visit) -> Shown:
    """Where Blueprints come from, and what could not be taken in."""
    return await _sources(at)


async def _sources(at: Visit, faults: Faults = NONE) -> Shown:
    rows = await at.api.all("/v1/catalog/sources", "sources")
    found = await together(*(at.api.all(f"/v1/catalog/{row['name']}/issues", "issues") for row in rows))
    issues = [issue for each in found for issue in each]
    return at.show(
        "sources.html",
        title="Sources",
        tab="sources",
        rows=rows,
        issues=issues,
        kinds=_KINDS,
        given=at.form,
        faults=faults,
        status=409 if faults else 200,
    )


@action("/console/admin/sources")
async def add(at: Visit) -> Shown:
    """One more source of the whole Sovereign; what its plugin is told is JSON, by the plugin's own schema."""
    try:
        config = json.loads(at.form.get("source.config") or "{}")
    except ValueError as error:
        return await _sources(at, Faults.at(source__config=f"This is no JSON: {error}."))
    if not isinstance(config, dict):
        return await _sources(at, Faults.at(source__config="An object is expected, between { and }."))
    wish = {"kind": at.form.get("source.kind", ""), "scope": "SCOPE_SOVEREIGN", "config": config}
    if reference := at.form.get("source.secret_ref", "").strip():
        wish["secretRef"] = reference
    try:
        await at.api.send("POST", "/v1/catalog/sources", wish, sourceId=at.form.get("source_id", "").strip())
    except REFUSALS as refused:
        return await _sources(at, _by_field(refused))
    return at.go("/console/admin/sources")


def _by_field(refused: Exception) -> Faults:
    """What was refused, at the fields of this form: what a plugin has against its configuration stands at that."""
    faults = Faults.of(refused)
    found: dict[str, str] = {}
    for name in faults:
        field = "source.config" if name.startswith(("config", "source.config")) else name
        said = f"{name.removeprefix('source.')}: {faults.get(name)}" if field == "source.config" else faults.get(name)
        found[field] = "; ".join(filter(None, (found.get(field, ""), said)))
    return Faults(faults.message, faults.reason, found)


@action("/console/admin/sources/{source:str}/sync")
async def sync(at: Visit) -> Shown:
    """Read a source again, now."""
    try:
        await at.api.send("POST", f"/v1/catalog/sources/{at.names['source']}:sync")
    except REFUSALS as refused:
        return await _sources(at, Faults.of(refused))
    return at.go("/console/admin/sources")


@action("/console/admin/sources/{source:str}/issues/{issue:str}/retry")
async def retry(at: Visit) -> Shown:
    """Try once more what could not be taken in."""
    try:
        await at.api.send("POST", f"/v1/catalog/sources/{at.names['source']}/issues/{at.names['issue']}:retry")
    except REFUSALS as refused:
        return await _sources(at, Faults.of(refused))
    return at.go("/console/admin/sources")


@page("/console/admin/letters")
async def letters(at: Visit) -> Shown:
    """Events that were given up, with the error."""
    return await _letters(at)


async def _letters(at: Visit, faults: Faults = NONE) -> Shown:
    rows = (await at.api.get("/v1/deadLetters"))["deadLetters"]
    return at.show(
        "letters.html", title="Dead letters", tab="letters", rows=rows, faults=faults, status=409 if faults else 200
    )


@action("/console/admin/letters/{letter:str}/{verb:str}")
async def decide(at: Visit) -> Shown:
    """Hand one to its consumer once more, or discard it."""
    try:
        await at.api.send("POST", f"/v1/deadLetters/{at.names['letter']}:{at.names['verb']}")
    except REFUSALS as refused:
        return await _letters(at, Faults.of(refused))
    return at.go("/console/admin/letters")


PAGES = (overview, sources, add, sync, retry, letters, decide)
