"""What a sync decides: one result per item, quiet when nothing is new, nobody stops another."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml
from catalyst_catalog.domain.inspection import Finding, inspect
from catalyst_catalog.domain.refusals import SourceDisabled
from catalyst_catalog.domain.sightings import Known, Settled, Sighting
from catalyst_catalog.domain.sources import (
    BlueprintOrphaned,
    BlueprintUpdated,
    Issue,
    IssueClosed,
    IssueOpened,
    Scope,
    Source,
    SourceFailed,
    SourceSynced,
    configured,
    failed,
    retry_at,
    wish,
)
from catalyst_catalog.domain.syncing import settle
from catalyst_catalog.domain.trust import Attestation, Policy, Requirement, Signature, Verdict
from catalyst_catalog.domain.universe import State
from catalyst_catalog.domain.versions import VersionPublished, VersionQuarantined
from catalyst_catalog.events import issue_closed, issue_opened

from .makers import NOON, document, needs

PUBLIC = Source("public", "directory", Scope.PUBLIC, {"folder": "/somewhere"}, revision=1)
PRIVATE = Source("org-acme", "directory", Scope.ORGANIZATION, {"folder": "/acme"}, organization="acme", revision=1)


def sighting(name: str, version: str | None = "1.0.0", digest: str = "sha256:1", **spec: Any) -> Sighting:
    content = yaml.safe_dump(document(f"bp-{name}", version, **spec)).encode()
    return Sighting(name, digest, inspect(name, {"blueprint.yaml": content}))


def broken(name: str, reason: str = "MANIFEST_INVALID") -> Sighting:
    return Sighting(name, "sha256:bad", findings=(Finding("validate", reason, "it is wrong"),))


class World:
    """Applies what syncs decide, as the database would."""

    def __init__(self, source: Source = PUBLIC) -> None:
        self.known = Known(source)
        self.told: list[object] = []

    def sync(self, *sightings: Sighting, present: Iterable[str] | None = None, now: datetime = NOON) -> Settled:
        seen = {s.path for s in sightings}
        shown = list(present) if present is not None else [*seen, *self.known.items]
        decision = settle(self.known, sightings, shown, now, answers=self.known.source.wished)
        self.told = list(decision.events)
        rows = decision.state
        versions = {**self.known.versions, **{(v.owner_org, v.blueprint, v.version): v for v in rows.versions}}
        issues = {key: i for key, i in self.known.issues.items() if i not in rows.healed}
        self.known = replace(
            self.known,
            source=rows.source,
            items={**self.known.items, **{i.path: i for i in rows.items}},
            versions=versions,
            blueprints={**self.known.blueprints, **{(b.owner_org, b.name): b for b in rows.blueprints}},
            issues={**issues, **{i.key: i for i in rows.issues}},
            catalog_revision=rows.changes[-1].revision if rows.changes else rows.catalog_revision,
            needs=_needs(versions.values()),
        )
        return rows

    def kinds(self) -> list[type]:
        return [type(fact) for fact in self.told]

    def state(self, name: str, version: str = "1.0.0", owner: str = "") -> State:
        return self.known.versions[owner, f"bp-{name}", version].state


def _needs(versions: Iterable[Any]) -> Mapping[str, list[str]]:
    return {v.blueprint: [d["blueprint"] for d in v.document["spec"].get("depends", ())] for v in versions}


def test_a_new_item_is_published_and_told_once() -> None:
    world = World()
    world.sync(sighting("shop"))
    assert world.state("shop") is State.VERIFIED
    assert world.kinds() == [VersionPublished, BlueprintUpdated, SourceSynced]
    assert world.known.catalog_revision == 2, "the version, and its Blueprint"


def test_a_sync_that_finds_what_it_knows_writes_and_tells_nothing() -> None:
    world = World()
    world.sync(sighting("shop"))
    before = world.known
    assert world.sync().is_empty
    assert world.told == []
    assert world.known == before


def test_a_failing_item_beside_47_good_ones_is_one_issue_and_stops_nobody() -> None:
    world = World()
    world.sync(broken("bad"), *(sighting(f"good{n}") for n in range(47)))
    assert world.kinds().count(VersionPublished) == 47
    assert [fact.owner for fact in world.told if isinstance(fact, IssueOpened)] == [""]
    assert world.known.items["bad"].outcome is State.REJECTED
    world.sync(sighting("bad", digest="sha256:2"))
    assert world.known.issues == {}
    assert world.kinds().count(IssueClosed) == 1
    assert world.state("bad") is State.VERIFIED


def test_an_issue_of_an_organization_s_source_is_told_as_that_organization_s() -> None:
    world = World(PRIVATE)
    world.sync(broken("bad"))
    (opened,) = [fact for fact in world.told if isinstance(fact, IssueOpened)]
    assert issue_opened(opened).owner_org == "organizations/acme"
    world.sync(sighting("bad", digest="sha256:2"))
    (closed,) = [fact for fact in world.told if isinstance(fact, IssueClosed)]
    assert issue_closed(closed).owner_org == "organizations/acme"


def test_a_second_failure_of_the_same_reason_is_the_same_issue() -> None:
    world = World()
    world.sync(broken("bad"))
    (first,) = world.known.issues.values()
    world.sync(broken("bad"), now=NOON + timedelta(minutes=1))
    (second,) = world.known.issues.values()
    assert (second.name, second.attempts, second.first_seen) == (first.name, 2, NOON)
    assert IssueOpened not in world.kinds()
    world.sync(broken("bad", "NAME_MISMATCH"))
    assert world.kinds()[:2] == [IssueOpened, IssueClosed]


def test_other_bytes_under_a_published_version_quarantine_it_and_keep_the_old_ones() -> None:
    world = World()
    world.sync(sighting("shop", digest="sha256:old"))
    document_before = world.known.versions["", "bp-shop", "1.0.0"].document
    world.sync(sighting("shop", digest="sha256:new", tier="mandatory"))
    changed = world.known.versions["", "bp-shop", "1.0.0"]
    assert (changed.state, changed.reason, changed.digest) == (State.QUARANTINED, "DIGEST_CHANGED", "sha256:old")
    assert changed.document == document_before
    assert [issue.finding.reason for issue in world.known.issues.values()] == ["DIGEST_CHANGED"]
    assert world.kinds().count(VersionQuarantined) == 1
    world.sync(sighting("shop", digest="sha256:newer"))
    assert VersionQuarantined not in world.kinds()


def test_a_quarantine_is_not_undone_by_the_old_bytes_coming_back() -> None:
    world = World()
    world.sync(sighting("shop", digest="sha256:old"))
    world.sync(sighting("shop", digest="sha256:new"))
    world.sync(sighting("shop", digest="sha256:old"))
    assert world.state("shop") is State.QUARANTINED
    assert world.known.issues == {}


def test_a_new_version_becomes_the_newest_and_an_older_one_does_not() -> None:
    world = World()
    world.sync(sighting("shop", "1.1.0"))
    world.sync(sighting("shop", "1.2.0", digest="sha256:2"))
    assert world.known.blueprints["", "bp-shop"].newest == "1.2.0"
    world.sync(sighting("shop", "1.0.0", digest="sha256:3"))
    assert world.known.blueprints["", "bp-shop"].newest == "1.2.0"
    assert {key[2] for key in world.known.versions} == {"1.0.0", "1.1.0", "1.2.0"}


def test_an_announcement_may_change_and_is_followed_by_its_first_version() -> None:
    world = World()
    planned: dict[str, Any] = {"status": "planned", "manifests": None}
    world.sync(sighting("shop", None, **planned))
    world.sync(sighting("shop", None, digest="sha256:2", **planned, tier="mandatory"))
    assert world.state("shop", "") is State.VERIFIED
    world.sync(sighting("shop", "0.1.0", digest="sha256:3"))
    assert world.known.blueprints["", "bp-shop"].newest == "0.1.0"


def test_a_circle_is_refused_and_its_innocent_part_published() -> None:
    world = World()
    world.sync(
        sighting("aa", depends=needs(bb="*")), sighting("bb", depends=needs(cc="*")), sighting("cc", depends=needs(aa="*")),
        sighting("dd"),
    )  # fmt: skip
    assert {key[1] for key in world.known.versions} == {"bp-aa", "bp-bb", "bp-dd"}
    (issue,) = world.known.issues.values()
    assert (issue.ref, issue.finding.reason) == ("cc", "DEPENDENCY_CYCLE")
    assert issue.finding.message == "bp-aa > bp-bb > bp-cc > bp-aa"


def test_an_item_that_could_not_be_fetched_is_tried_again() -> None:
    world = World()
    finding = Finding("fetch", "FETCH_FAILED", "it did not answer")
    world.sync(Sighting("shop", "sha256:1", findings=(finding,), fetched=False))
    item = world.known.items["shop"]
    assert (item.outcome, item.digest) == (State.PENDING, "")
    world.sync(sighting("shop"))
    assert world.known.issues == {}


def test_a_private_blueprint_never_stands_in_for_a_public_one() -> None:
    public = World()
    public.sync(sighting("cnpg"))
    acme = World(PRIVATE)
    acme.known = replace(acme.known, blueprints=public.known.blueprints)
    acme.sync(sighting("cnpg", "9.0.0"), sighting("crm"))
    assert acme.state("cnpg", "9.0.0", "acme") is State.QUARANTINED
    assert [issue.finding.reason for issue in acme.known.issues.values()] == ["NAME_CLASH"]
    assert acme.kinds().count(VersionQuarantined) == 1
    crm = acme.known.blueprints["acme", "bp-crm"]
    assert (crm.resource, crm.visibility.value) == ("organizations/acme/blueprints/bp-crm", "private")


def test_what_a_source_lost_becomes_an_orphan_after_three_syncs() -> None:
    world = World()
    world.sync(sighting("shop"), sighting("mail"))
    for n in range(1, 4):
        world.sync(present=["mail"])
        assert (BlueprintOrphaned in world.kinds()) == (n == 3)
    assert world.known.blueprints["", "bp-shop"].orphaned_at == NOON
    assert world.sync(present=["mail"]).is_empty
    world.sync(present=["mail", "shop"])
    assert world.known.blueprints["", "bp-shop"].orphaned_at is None
    assert world.kinds() == [BlueprintUpdated, SourceSynced]


def test_what_a_source_lost_becomes_an_orphan_after_a_day() -> None:
    world = World()
    world.sync(sighting("shop"))
    world.sync(present=[])
    world.sync(present=[], now=NOON + timedelta(hours=24))
    assert BlueprintOrphaned in world.kinds()


def test_revisions_grow_by_one_whatever_a_sync_does_to_a_name() -> None:
    world = World()
    seen: list[int] = []
    for n in range(5):
        world.sync(sighting("shop", f"1.{n}.0", digest=f"sha256:{n}"))
        seen.append(world.known.blueprints["", "bp-shop"].revision)
    assert seen == [1, 2, 3, 4, 5]
    assert world.known.source.revision == 6


def test_a_source_that_fails_tells_it_once_and_recovers_with_the_next_sync() -> None:
    first = failed(PUBLIC, "CONFIG", "no such folder", NOON, answers=1)
    assert [type(fact) for fact in first.events] == [SourceFailed]
    assert first.state is not None
    assert failed(first.state, "CONFIG", "no such folder", NOON, answers=1).state is None
    world = World(first.state)
    world.sync(sighting("shop"))
    assert world.known.source.condition == ""
    assert world.kinds()[-1] is SourceSynced


def test_a_wish_that_came_after_the_source_was_read_is_not_answered_by_that_sync() -> None:
    world = World()
    world.sync(sighting("shop"))
    read = world.known.source.wished
    world.known = replace(world.known, source=wish(world.known.source, NOON).state)
    settled = settle(world.known, [sighting("cart")], ["shop", "cart"], NOON, answers=read).state
    assert (settled.source.observed, settled.source.wished) == (1, 2)
    refused = failed(world.known.source, "CONFIG", "no such folder", NOON, answers=read).state
    assert refused is not None
    assert (refused.observed, refused.wished) == (1, 2)


def test_a_wish_is_answered_by_the_next_sync_even_if_nothing_changed() -> None:
    world = World()
    world.sync(sighting("shop"))
    world.known = replace(world.known, source=wish(world.known.source, NOON).state)
    world.sync()
    assert world.known.source.observed == world.known.source.wished == 2
    assert world.kinds() == [SourceSynced]


def test_a_disabled_source_takes_no_wish() -> None:
    with pytest.raises(SourceDisabled):
        wish(replace(PUBLIC, enabled=False), NOON)


def test_configuration_touches_only_what_it_says() -> None:
    first = configured(None, PUBLIC)
    assert first is not None
    assert configured(first, PUBLIC) is None
    assert configured(replace(first, interval=timedelta(hours=1), enabled=False, revision=2), PUBLIC) is None
    standing = replace(first, observed=1, condition="CONFIG", revision=7)
    moved = configured(standing, replace(PUBLIC, config={"folder": "/elsewhere"}))
    assert moved is not None
    assert (moved.config, moved.revision, moved.condition, moved.wished) == ({"folder": "/elsewhere"}, 8, "CONFIG", 2)


STRICT = replace(PUBLIC, trust=Policy(Requirement.REQUIRED, Requirement.REQUIRED, ("key",)))
GOOD = Verdict(Signature.VERIFIED, Attestation.PRESENT, signers=("print",))


def judged(name: str, verdict: Verdict, digest: str = "sha256:1") -> Sighting:
    return replace(sighting(name, digest=digest), verdict=verdict)


@pytest.mark.parametrize(
    ("verdict", "outcome", "reason"),
    [
        (Verdict(Signature.UNSIGNED, Attestation.ABSENT), State.REJECTED, "SIGNATURE_MISSING"),
        (Verdict(Signature.INVALID, Attestation.PRESENT), State.QUARANTINED, "SIGNATURE_INVALID"),
        (Verdict(Signature.UNVERIFIABLE, Attestation.PRESENT), State.PENDING, "SIGNATURE_UNVERIFIABLE"),
    ],
)
def test_what_is_not_trusted_is_an_issue_and_not_for_sale(verdict: Verdict, outcome: State, reason: str) -> None:
    world = World(STRICT)
    world.sync(judged("shop", verdict))
    assert world.known.items["shop"].outcome is outcome
    assert [issue.finding.reason for issue in world.known.issues.values()] == [reason]
    assert VersionPublished not in world.kinds()
    assert (world.known.items["shop"].digest == "") == (outcome is not State.QUARANTINED), "what may come is looked for"


def test_a_signature_that_comes_later_publishes_the_same_bytes() -> None:
    world = World(STRICT)
    world.sync(judged("shop", Verdict(Signature.UNSIGNED, Attestation.ABSENT)))
    world.sync(judged("shop", GOOD))
    assert world.state("shop") is State.VERIFIED
    assert world.known.issues == {}


def test_another_policy_changes_what_is_known_of_a_signature_and_no_state() -> None:
    world = World(STRICT)
    world.sync(judged("shop", GOOD))
    world.sync(judged("shop", Verdict(Signature.INVALID, Attestation.PRESENT)))
    version = world.known.versions["", "bp-shop", "1.0.0"]
    assert (version.state, version.verdict.signature) == (State.VERIFIED, Signature.INVALID)
    assert [issue.finding.reason for issue in world.known.issues.values()] == ["SIGNATURE_INVALID"]
    assert VersionQuarantined not in world.kinds()


def test_a_claim_on_a_foreign_name_never_touches_the_version_of_its_owner() -> None:
    """A sovereign source shares the public one's names: other bytes in it must not quarantine the public version."""
    public = World()
    public.sync(sighting("cnpg"))
    own = World(replace(PUBLIC, id="own", scope=Scope.SOVEREIGN))
    own.known = replace(own.known, blueprints=public.known.blueprints, versions=public.known.versions)
    own.sync(sighting("cnpg", digest="sha256:evil"))
    assert own.state("cnpg") is State.VERIFIED
    assert [issue.finding.reason for issue in own.known.issues.values()] == ["NAME_CLASH"]
    assert own.known.versions["", "bp-cnpg", "1.0.0"].digest == "sha256:1"


def test_an_item_that_cannot_be_taken_is_tried_again_after_5_seconds_doubled_up_to_an_hour() -> None:
    issue = Issue("public", "shop", Finding("fetch", "FETCH_FAILED", "no"), NOON, NOON)
    waits = [retry_at(replace(issue, attempts=n)) - NOON for n in (1, 2, 3, 11, 50)]
    assert [wait.total_seconds() for wait in waits] == [5, 10, 20, 3600, 3600]


def test_each_change_has_a_revision_of_the_catalogue_to_itself() -> None:
    world = World()
    rows = world.sync(sighting("shop"), sighting("mail"))
    assert [change.revision for change in rows.changes] == [1, 2, 3, 4]
    assert [change.blueprint for change in rows.changes] == ["bp-mail", "bp-shop", "bp-mail", "bp-shop"]
    told = [getattr(fact, "catalog_revision", None) for fact in world.told]
    assert told == [1, 2, 3, 4, None]
