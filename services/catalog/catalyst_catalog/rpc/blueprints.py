"""Blueprints, versions and cards as messages."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst_mesh.protos import stamp
from google.protobuf.struct_pb2 import Struct

from ..domain import closure
from ..domain.cards import notices
from ..domain.installations import Installation
from ..domain.manifest_parts import Placement
from ..domain.universe import Release, resource
from ..domain.versions import Version
from ..store import Picture
from .words import (
    ATTESTATIONS,
    LAYERS,
    MODES,
    SIGNATURES,
    STATES,
    STATUSES,
    TIERS,
    VISIBILITIES,
    etag,
    organization,
)

MOST_VERSIONS = 10
"""Versions that a Blueprint is read with."""


def to_blueprint(
    picture: Picture, head: Release, standing: Sequence[Installation] = (), *, whole: bool = False
) -> pb.Blueprint:
    """A Blueprint; with `whole` its newest versions too, and the caller's Applications by name.

    standing   Applications of the caller's Organizations
    """
    made = [one.application for one in standing if one.blueprint == head.resource]
    row = picture.rows[head.owner_org, head.name]
    spec = head.manifest.spec
    return pb.Blueprint(
        name=head.resource,
        uid=row["uid"],
        etag=etag(row["revision"]),
        version=row["revision"],
        create_time=stamp(row["created_at"]),
        update_time=stamp(row["updated_at"]),
        title=spec.card.title,
        tagline=spec.card.tagline,
        summary=spec.card.summary,
        category=spec.card.category or "",
        tags=spec.card.tags,
        family=head.family,
        tier=TIERS[picture.components.tier(head.name)],
        layer=LAYERS[spec.layer],
        visibility=VISIBILITIES[row["visibility"]],
        owner_org=organization(head.owner_org),
        owner_team=spec.owner.team or "",
        owner_contact=spec.owner.contact or "",
        installed_count=len(made),
        applications=made if whole else (),
        licence=spec.card.licence or "",
        documentation=spec.card.documentation or "",
        latest_version=f"{head.resource}/versions/{head.version}" if head.is_offered else "",
        status=STATUSES[spec.status],
        source=f"sources/{row['source']}",
        orphaned=row["orphaned_at"] is not None,
        closure_size=len(closure.closure(picture.universe, head.name).nodes),
        versions=_newest(picture, head) if whole else (),
    )


def to_version(picture: Picture, one: Release, *, whole: bool = False) -> pb.BlueprintVersion:
    """A version; with `whole` its manifest and what the importer changed."""
    return version_message(picture, one, *picture.record(one), whole=whole)


def version_message(
    picture: Picture, one: Release, record: Version, uid: str, *, whole: bool = False
) -> pb.BlueprintVersion:
    """A version from its record, which may be newer than the picture; that knows the names of its needs."""
    spec = one.manifest.spec
    message = pb.BlueprintVersion(
        name=record.name,
        uid=uid,
        etag=etag(record.revision),
        version=record.revision,
        create_time=stamp(record.published_at),
        update_time=stamp(record.state_since),
        semver=one.version,
        state=STATES[record.state],
        state_reason=record.reason,
        digest=one.digest,
        source=one.source,
        replacement=record.replacement,
        signature=SIGNATURES[record.verdict.signature],
        sbom=ATTESTATIONS[record.verdict.sbom],
        provenance=ATTESTATIONS[record.verdict.provenance],
        publish_time=stamp(record.published_at),
        depends=depends(picture, one),
        also_selects=[named(picture, name) for name in spec.also_selects],
        config_schema=struct(spec.config_schema),
        placement=_placement(spec.placement_schema),
        upgrades_from=spec.upgrades.from_,
        upgrades_blocked=spec.upgrades.blocks,
        multi_instance=spec.multi_instance.enabled,
        upstream=[
            pb.UpstreamChart(chart=u.chart, version=u.version, repo=u.repo)
            for u in (spec.manifests.upstream if spec.manifests else ())
        ],
    )
    if whole:
        message.manifest.update(one.manifest.as_document())
        message.import_changes.extend(_changes(record))
    return message


def to_card(picture: Picture, head: Release, standing: Sequence[Installation] = ()) -> pb.Card:
    """A card; `standing` as above."""
    spec = head.manifest.spec
    return pb.Card(
        name=head.resource,
        title=spec.card.title,
        tagline=spec.card.tagline,
        category=spec.card.category or "",
        family=head.family,
        tags=spec.card.tags,
        visibility=VISIBILITIES["private" if head.owner_org else spec.visibility.value],
        version=head.version,
        layer=LAYERS[spec.layer],
        tier=TIERS[picture.components.tier(head.name)],
        state_notices=notices(head),
        depends=[named(picture, edge.blueprint) for edge in head.edges],
        installed_count=sum(one.blueprint == head.resource for one in standing),
    )


def struct(document: Any) -> Struct | None:
    """A mapping as a Struct; None for an empty one."""
    if not document:
        return None
    made = Struct()
    made.update(document)
    return made


def named(picture: Picture, name: str) -> str:
    """Resource name of a Blueprint that a manifest calls by its bare name."""
    head = picture.universe.heads.get(name)
    return head.resource if head else resource(name)


def _newest(picture: Picture, head: Release) -> list[pb.BlueprintVersion]:
    versions = [one for one in picture.universe.releases(head.name) if one.version and (one.is_offered or one is head)]
    return [to_version(picture, one) for one in versions[:MOST_VERSIONS]]


def depends(picture: Picture, one: Release) -> Iterable[pb.Dependency]:
    """The needs of a version."""
    for edge in one.edges:
        yield pb.Dependency(
            blueprint=named(picture, edge.blueprint),
            range=edge.range,
            alias=edge.alias,
            when=edge.when,
            values=struct(edge.values),
        )


def _placement(placement: Placement) -> pb.PlacementSchema:
    elsewhere = placement.default_on_multi_region
    return pb.PlacementSchema(
        modes=[MODES[mode] for mode in placement.modes],
        default_mode=MODES[placement.default],
        default_on_multi_region=MODES[elsewhere] if elsewhere else pb.PLACEMENT_MODE_UNSPECIFIED,
        min_regions=placement.min_regions,
        max_regions=placement.max_regions,
    )


def _changes(record: Version) -> Iterable[pb.ImportChange]:
    for change in record.changes:
        before, after = change["from"], change["to"]
        yield pb.ImportChange(
            path=change["path"],
            **{"from": "" if before is None else json.dumps(before)},
            to="" if after is None else json.dumps(after),
            rule=change["rule"],
        )
