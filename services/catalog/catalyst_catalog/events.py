"""Which facts the catalogue tells."""

from typing import Any

from catalyst.catalog.v1 import events_pb2, resources_pb2
from catalyst_mesh import Emitted
from catalyst_mesh.protos import stamp

from .domain.sources import (
    BlueprintOrphaned,
    BlueprintUpdated,
    IssueClosed,
    IssueOpened,
    SourceFailed,
    SourceSynced,
)
from .domain.storefront import OfferChanged, PriceBookPublished
from .domain.versions import (
    Version,
    VersionDeprecated,
    VersionPublished,
    VersionQuarantined,
    VersionReleased,
    VersionUnyanked,
    VersionYanked,
)
from .rpc.offers import price_book
from .rpc.words import STAGES, STATES, VISIBILITIES, organization


def published(fact: VersionPublished) -> events_pb2.VersionPublished:
    v = fact.version
    return events_pb2.VersionPublished(
        version_name=v.name,
        version=v.revision,
        blueprint=_blueprint(v),
        semver=v.version,
        digest=v.digest,
        owner_org=organization(v.owner_org),
        catalog_revision=fact.catalog_revision,
        source=f"sources/{v.source}",
        visibility=_visibility(v),
    )


def quarantined(fact: VersionQuarantined) -> events_pb2.VersionQuarantined:
    return events_pb2.VersionQuarantined(**_moved(fact))


def yanked(fact: VersionYanked) -> events_pb2.VersionYanked:
    return events_pb2.VersionYanked(**_moved(fact))


def unyanked(fact: VersionUnyanked) -> events_pb2.VersionUnyanked:
    return events_pb2.VersionUnyanked(**_moved(fact) | {"reason": fact.reason}, state=STATES[fact.version.state])


def deprecated(fact: VersionDeprecated) -> events_pb2.VersionDeprecated:
    return events_pb2.VersionDeprecated(**_moved(fact), replacement=fact.version.replacement)


def released(fact: VersionReleased) -> events_pb2.VersionReleased:
    return events_pb2.VersionReleased(**_moved(fact))


def _moved(fact: Any) -> dict[str, Any]:
    """What every event of a moved version says."""
    v: Version = fact.version
    return {
        "version_name": v.name,
        "version": v.revision,
        "blueprint": _blueprint(v),
        "semver": v.version,
        "digest": v.digest,
        "owner_org": organization(v.owner_org),
        "catalog_revision": fact.catalog_revision,
        "reason": v.reason,
        "actor": fact.actor,
        "visibility": _visibility(v),
    }


def updated(fact: BlueprintUpdated) -> events_pb2.BlueprintUpdated:
    b = fact.blueprint
    return events_pb2.BlueprintUpdated(
        blueprint=b.resource,
        version=b.revision,
        visibility=VISIBILITIES[b.visibility.value],
        latest_version=b.newest,
        owner_org=organization(b.owner_org),
        catalog_revision=fact.catalog_revision,
    )


def orphaned(fact: BlueprintOrphaned) -> events_pb2.BlueprintOrphaned:
    b = fact.blueprint
    return events_pb2.BlueprintOrphaned(
        blueprint=b.resource,
        version=b.revision,
        source=f"sources/{b.source}",
        owner_org=organization(b.owner_org),
        catalog_revision=fact.catalog_revision,
        visibility=VISIBILITIES[b.visibility.value],
    )


def synced(fact: SourceSynced) -> events_pb2.SourceSynced:
    return events_pb2.SourceSynced(
        source=fact.source.name,
        version=fact.source.revision,
        owner_org=organization(fact.source.organization),
        listed_count=fact.listed,
        published_count=fact.published,
        issue_count=fact.issues,
        orphaned_count=fact.orphaned,
        sync_time=stamp(fact.source.synced_at),
    )


def failed(fact: SourceFailed) -> events_pb2.SourceFailed:
    return events_pb2.SourceFailed(
        source=fact.source.name,
        version=fact.source.revision,
        owner_org=organization(fact.source.organization),
        reason=fact.source.condition,
        message=fact.source.message,
    )


def issue_opened(fact: IssueOpened) -> events_pb2.IssueOpened:
    i = fact.issue
    return events_pb2.IssueOpened(
        issue=i.name,
        version=i.attempts,
        source=f"sources/{i.source}",
        owner_org=organization(fact.owner),
        ref=i.ref,
        stage=STAGES[i.finding.stage],
        reason=i.finding.reason,
        message=i.finding.message,
        field=i.finding.field,
    )


def issue_closed(fact: IssueClosed) -> events_pb2.IssueClosed:
    i = fact.issue
    return events_pb2.IssueClosed(
        issue=i.name,
        version=i.attempts + 1,
        source=f"sources/{i.source}",
        owner_org=organization(fact.owner),
        ref=i.ref,
        reason=i.finding.reason,
    )


def offer_changed(fact: OfferChanged) -> events_pb2.OfferChanged:
    changes = events_pb2.OfferChanged
    change = changes.CHANGE_CREATED if fact.is_new else changes.CHANGE_UPDATED
    return events_pb2.OfferChanged(
        offer=fact.offer.name,
        version=fact.offer.revision,
        change=changes.CHANGE_DELETED if fact.offer.is_deleted else change,
        changed_paths=fact.changed,
        actor=fact.actor,
    )


def book_published(fact: PriceBookPublished) -> events_pb2.PricebookPublished:
    content: resources_pb2.PriceBook = price_book(fact.book)
    return events_pb2.PricebookPublished(
        price_book=fact.book.name,
        version=fact.book.number,
        valid_from_time=stamp(fact.book.valid_from),
        content=content,
    )


def _visibility(v: Version) -> "resources_pb2.Visibility.ValueType":
    return VISIBILITIES["private" if v.owner_org else v.document["spec"].get("visibility", "unlisted")]


def _blueprint(v: Version) -> str:
    return v.name.rpartition("/versions/")[0]


_ROOT = "catalyst.v1.catalog"
EMITTED = (
    Emitted(f"{_ROOT}.version.published", VersionPublished, published),
    Emitted(f"{_ROOT}.version.quarantined", VersionQuarantined, quarantined),
    Emitted(f"{_ROOT}.version.yanked", VersionYanked, yanked),
    Emitted(f"{_ROOT}.version.unyanked", VersionUnyanked, unyanked),
    Emitted(f"{_ROOT}.version.deprecated", VersionDeprecated, deprecated),
    Emitted(f"{_ROOT}.version.released", VersionReleased, released),
    Emitted(f"{_ROOT}.blueprint.updated", BlueprintUpdated, updated),
    Emitted(f"{_ROOT}.blueprint.orphaned", BlueprintOrphaned, orphaned),
    Emitted(f"{_ROOT}.source.synced", SourceSynced, synced),
    Emitted(f"{_ROOT}.source.failed", SourceFailed, failed),
    Emitted(f"{_ROOT}.issue.opened", IssueOpened, issue_opened),
    Emitted(f"{_ROOT}.issue.closed", IssueClosed, issue_closed),
    Emitted(f"{_ROOT}.offer.changed", OfferChanged, offer_changed),
    Emitted(f"{_ROOT}.pricebook.published", PriceBookPublished, book_published),
)
