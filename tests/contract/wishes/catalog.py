"""What the catalog is asked to write."""

from collections.abc import Mapping
from typing import Any

from catalyst.catalog.v1 import service_pb2 as catalog
from catalyst_catalog.domain.changes import Change
from catalyst_catalog.domain.changes import Kind as ChangeKind
from catalyst_catalog.domain.manifest_parts import Visibility
from catalyst_catalog.domain.moderation import Moderated
from catalyst_catalog.domain.sources import Blueprint
from catalyst_catalog.domain.universe import State as VersionState
from catalyst_catalog.domain.versions import Version

from services.catalog.tests.makers import document

from ..mesh import Mesh
from .wish import Wish

_CATALOG = "catalyst.catalog.v1"


async def sync(_: Mesh) -> Any:
    return catalog.SyncSourceRequest(name="sources/public")


async def a_source(m: Mesh, org: str = "acme") -> Any:
    """One that is switched off: nothing is read behind the back of a test."""
    wish = catalog.CreateSourceRequest(source_id=f"src-{m.fresh()}")
    wish.source.kind, wish.source.scope, wish.source.org = "directory", 3, f"organizations/{org}"
    wish.source.enabled = False
    wish.source.config.update({"folder": "/nowhere"})
    return wish


async def source(m: Mesh, org: str = "acme") -> Any:
    return await m.call(f"{_CATALOG}.SourceService/CreateSource", await a_source(m, org))


async def changed_source(m: Mesh, org: str = "acme") -> Any:
    held = await source(m, org)
    wish = catalog.UpdateSourceRequest(etag=held.etag, update_mask={"paths": ["priority"]})
    wish.source.name, wish.source.priority = held.name, 30
    return wish


async def gone_source(m: Mesh, org: str = "acme") -> Any:
    held = await source(m, org)
    return catalog.DeleteSourceRequest(name=held.name, etag=held.etag)


async def retried_issue(m: Mesh) -> Any:
    listed: Any = await m.call(
        f"{_CATALOG}.SourceService/ListIssues", catalog.ListIssuesRequest(parent="sources/org-acme")
    )
    return catalog.RetryIssueRequest(name=listed.issues[0].name)


MOVES = {
    "Yank": "VERIFIED",
    "Unyank": "YANKED",
    "Deprecate": "VERIFIED",
    "Quarantine": "VERIFIED",
    "Release": "QUARANTINED",
}
"""Moves of versions, each with a state that it leaves."""


def _moved_version(move: str) -> Wish:
    async def wish(m: Mesh) -> Any:
        """Of a Blueprint of its own, as a sync would leave it."""
        name, state = f"bp-{m.fresh()}", VersionState[MOVES[move]]
        checked = document(name)

        async def step(tx: Any) -> None:
            revision = await tx.revision()
            made = Version(
                name, "", "1.0.0", "sha256:1", "public", name, state, "", checked, (), (), tx.now, tx.now, 1
            )  # fmt: skip - one row
            named = Blueprint(name, "", "public", 0, "1.0.0", Visibility.LISTED, None, 1)
            changes = (
                Change(revision + 1, ChangeKind.VERSION, made.name, row=1, state=state.value),
                Change(revision + 2, ChangeKind.BLUEPRINT, named.resource, row=1),
            )
            await tx.save(Moderated(made, revision, changes, named))

        await m.daemons["catalog"].daemon.work.again(step)
        kind: Any = getattr(catalog, f"{move}VersionRequest")
        return kind(name=f"blueprints/{name}/versions/1.0.0", reason="a test")

    return wish


_OFFERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "App": ("app", {"blueprint": "blueprints/bp-cilium"}),
    "Plan": ("plan", {"price": {"minor": 7000, "currency": "OMR"}}),
    "AddOn": ("add_on", {"price": {"minor": 700, "currency": "OMR"}}),
    "Bundle": ("bundle", {"apps": ["apps/wordpress"], "discount_bps": 100}),
    "Industry": ("industry", {}),
}
"""Field of each kind of offer in requests, and what a new one must say besides its title."""


def _new_offer(kind: str) -> Wish:
    field, values = _OFFERS[kind]

    async def wish(m: Mesh) -> Any:
        request: Any = getattr(catalog, f"Create{kind}Request")
        return request(**{f"{field}_id": m.fresh(), field: {"title": "A test", "sort": 1, **values}})

    return wish


def _changed_offer(kind: str) -> Wish:
    field, _ = _OFFERS[kind]

    async def wish(m: Mesh) -> Any:
        made: Any = await m.call(f"{_CATALOG}.StorefrontService/Create{kind}", await _new_offer(kind)(m))
        request: Any = getattr(catalog, f"Update{kind}Request")
        changed = {"name": made.name, "title": "Another"}
        return request(**{field: changed, "etag": made.etag, "update_mask": {"paths": ["title"]}})

    return wish


def _gone_offer(kind: str) -> Wish:
    async def wish(m: Mesh) -> Any:
        made: Any = await m.call(f"{_CATALOG}.StorefrontService/Create{kind}", await _new_offer(kind)(m))
        request: Any = getattr(catalog, f"Delete{kind}Request")
        return request(name=made.name, etag=made.etag)

    return wish


async def a_price_book(m: Mesh) -> Any:
    """With a price that no book had before."""
    wish = catalog.PublishPriceBookRequest()
    rate = wish.rates.add(meter="meters/egress_gb")
    rate.unit_price.minor, rate.unit_price.currency = int(m.fresh()[1:]), "OMR"
    return wish


async def the_seed(_: Mesh) -> Any:
    return catalog.ImportSeedRequest()


async def selection(_: Mesh) -> Any:
    return catalog.SelectComponentsRequest(validate_only=True)


WRITES: Mapping[str, Wish] = {
    f"{_CATALOG}.SourceService/SyncSource": sync,
    f"{_CATALOG}.SourceService/CreateSource": a_source,
    f"{_CATALOG}.SourceService/UpdateSource": changed_source,
    f"{_CATALOG}.SourceService/DeleteSource": gone_source,
    f"{_CATALOG}.SourceService/RetryIssue": retried_issue,
    **{f"{_CATALOG}.ModerationService/{move}Version": _moved_version(move) for move in MOVES},
    **{f"{_CATALOG}.StorefrontService/Create{kind}": _new_offer(kind) for kind in _OFFERS},
    **{f"{_CATALOG}.StorefrontService/Update{kind}": _changed_offer(kind) for kind in _OFFERS},
    **{f"{_CATALOG}.StorefrontService/Delete{kind}": _gone_offer(kind) for kind in _OFFERS},
    f"{_CATALOG}.StorefrontService/PublishPriceBook": a_price_book,
    f"{_CATALOG}.StorefrontService/ImportSeed": the_seed,
}
"""Good requests by method."""
