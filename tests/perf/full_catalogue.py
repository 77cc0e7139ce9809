"""A catalogue of the size that the specification names: 2,000 Blueprints with 10 versions each."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from catalyst_catalog.domain.changes import Change, Kind
from catalyst_catalog.domain.manifest_parts import Visibility
from catalyst_catalog.domain.sightings import Settled
from catalyst_catalog.domain.sources import Blueprint, Source
from catalyst_catalog.domain.universe import State
from catalyst_catalog.domain.versions import Version

from services.catalog.tests.makers import document

BLUEPRINTS, VERSIONS = int(os.environ.get("CATALYST_PERF_CATALOGUE", "2000")), 10
WORDS = ("database", "queue", "mail", "chat", "search", "vault", "mesh", "proxy", "graph", "media", "notes", "board")
NOW = datetime.now(UTC)


def name_of(number: int) -> str:
    return f"bp-{WORDS[number % len(WORDS)]}-{number}"


def everything(source: Source, revision: int) -> Settled:
    """All of it as one sync of `source` would settle it, after catalogue revision `revision`."""
    settled = Settled(source, revision)
    for number in range(BLUEPRINTS):
        settled.versions += _versions(number, source.id)
        newest, name = f"1.{VERSIONS - 1}.0", name_of(number)
        settled.blueprints.append(Blueprint(name, "", source.id, 0, newest, Visibility.LISTED, None, 1))
    settled.changes.append(Change(revision + 1, Kind.BLUEPRINT, f"blueprints/{name_of(0)}", "", 1))
    return settled


def _versions(number: int, source: str) -> Iterator[Version]:
    name = name_of(number)
    for minor in range(VERSIONS):
        yield Version(
            blueprint=name, owner_org="", version=f"1.{minor}.0", digest=f"sha256:{number}-{minor}", source=source,
            path=name, state=State.VERIFIED, reason="", document=_document(number, f"1.{minor}.0"), changes=(),
            warnings=(), published_at=NOW, state_since=NOW, revision=1,
        )  # fmt: skip


def _document(number: int, version: str) -> dict[str, Any]:
    first, second, third = (WORDS[(number + step) % len(WORDS)] for step in (0, 3, 7))
    card = {
        "title": f"{first} {number}", "tagline": f"A {second} for every {third}", "summary": "What a team needs. " * 8,
        "category": first, "tags": [second, third], "licence": "MIT", "documentation": "https://docs.example",
    }  # fmt: skip
    owner = {"team": "makers", "contact": "makers@docs.example"}
    needs = [{"blueprint": name_of(number // 2), "version": "^1"}] if number > 1 else []
    return document(name_of(number), version, visibility="listed", owner=owner, card=card, depends=needs)
