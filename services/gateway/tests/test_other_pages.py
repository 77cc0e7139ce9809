"""Marketplace, domains, continuity, money, admin, timeline: what they show, and what their actions ask of the daemons."""

import base64
import io
import re
import tarfile
from datetime import UTC, datetime
from typing import Any

import pytest
from catalyst_gateway.console import timeline, writing
from catalyst_gateway.console.domains import chain
from catalyst_gateway.console.marketplace import inputs, values
from catalyst_mesh import InvalidRequest
from catalyst_sdk import Code, Refused, Violation

from . import filled
from .looking import Looking


class NoBook(Refused):
    code, reason, message = Code.NOT_FOUND, "PRICE_BOOK_NOT_FOUND", "there is no such book"


SLOT = "namespaces/acme/continuums/shop"
EAST, WEST = "hz-fsn-rtz-prod", "hz-hel-rtz-prod"
HELD = {
    "name": SLOT,
    "etag": '"3"',
    "spec": {"primaryRegion": EAST, "hotStandbyRegions": [WEST], "rto": "60s", "rpo": "5s"},
    "status": {
        "phase": "PHASE_HEALTHY",
        "primaryRegion": EAST,
        "leaseHolder": EAST,
        "epoch": "7",
        "selfRegion": EAST,
        "authorityRemaining": "8s",
        "replicationLag": {WEST: "0.4s"},
        "witness": {"cells": [{"name": "cell-1", "reachable": True}, {"name": "cell-2"}], "quorum": 2, "size": 3},
    },
}  # fmt: skip - a document
PLAN = {
    "planFingerprint": "f00d",
    "kind": "RUN_KIND_SWITCHOVER",
    "fromRegion": EAST,
    "toRegion": WEST,
    "epoch": "7",
    "checks": [{"name": "standby-current", "result": "RESULT_PASS", "critical": True, "message": "0.4 s behind"}],
    "steps": [{"number": 1, "phase": "fence", "executor": EAST}],
}  # fmt: skip - a document
VOUCHER = {"name": "vouchers/v1", "code": "WELCOME", "state": "STATE_ACTIVE", "etag": '"1"'}
EMPTY = [
    "/console/continuity",
    "/console/domains",
    "/console/marketplace",
    "/console/money",
    "/console/money/vouchers",
    "/console/money/book",
    "/console/admin",
    "/console/admin/sources",
    "/console/admin/letters",
    "/console/admin/providers",
    "/console/admin/providers/none",
    "/console/timeline",
]  # fmt: skip - a list


@pytest.mark.parametrize("path", EMPTY)
async def test_a_page_of_a_house_without_anything_says_so(look: Looking, path: str) -> None:
    seen = await look.at(path, roles=("sovereign-admin", "billing-admin"))
    assert seen.status == 200
    assert 'class="empty"' in seen.html or "Everything was taken in" in seen.text or "None" not in seen.text


async def test_nobody_is_shown_the_way_to_what_is_not_theirs(look: Looking) -> None:
    seen = await look.at("/console/marketplace", roles=(), groups=("/acme/org-viewer",))
    assert "/console/domains" in seen.links
    assert not {"/console/money", "/console/admin"} & set(seen.links)


async def test_a_slot_shows_who_holds_it_and_where_it_could_go(look: Looking) -> None:
    look.daemons.answer("GetContinuum", HELD)
    seen = await look.at(f"/console/{SLOT}")
    assert "1 of 3 answer, 2 are needed" in seen.text
    assert "hz-hel-rtz-prod 0 s" in seen.text
    assert seen.fields["region"] == WEST or f'value="{WEST}"' in seen.html
    assert f'value="{EAST}"' not in seen.html, "it is there already"


async def test_a_move_begins_with_a_rehearsal_and_only_by_its_fingerprint(look: Looking) -> None:
    look.daemons.answer("GetContinuum", HELD)
    look.daemons.answer("PlanRun", PLAN)
    look.daemons.answer("continuum.StartRun", {"name": "operations/continuum-1"})
    rehearsed = await look.send(f"/console/{SLOT}/rehearse", {"kind": "SWITCHOVER", "region": WEST})
    assert "standby-current" in rehearsed.text
    assert look.daemons.wishes("continuum.StartRun") == []
    form = {name: rehearsed.fields[name] for name in ("kind", "region", "fingerprint", "epoch")}
    wrong = await look.send(f"/console/{SLOT}/move", {**form, "reason": "a test", "confirm": EAST})
    assert (wrong.status, look.daemons.wishes("continuum.StartRun")) == (422, [])
    assert 'aria-invalid="true"' in wrong.html
    await look.send(f"/console/{SLOT}/move", {**form, "reason": "a test", "confirm": WEST})
    (wish,) = look.daemons.wishes("continuum.StartRun")
    assert (wish.plan_fingerprint, wish.expected_epoch, wish.to_region) == ("f00d", 7, WEST)


async def test_what_is_blocked_has_no_button(look: Looking) -> None:
    look.daemons.answer("GetContinuum", HELD)
    look.daemons.answer("PlanRun", {**PLAN, "blockers": ["the standby is 9 minutes behind"]})
    seen = await look.send(f"/console/{SLOT}/rehearse", {"kind": "SWITCHOVER", "region": WEST})
    assert "the standby is 9 minutes behind" in seen.text
    assert "Start the move" not in seen.html


async def test_a_slot_is_suspended_with_a_reason_under_its_etag(look: Looking) -> None:
    look.daemons.answer("GetContinuum", HELD)
    look.daemons.answer("Suspend", HELD)
    await look.send(f"/console/{SLOT}/suspend", {"says": "maintenance"})
    (wish,) = look.daemons.wishes("Suspend")
    assert (wish.reason, wish.etag) == ("maintenance", '"3"')


def ds(tag: int, digest: str = "ab") -> dict[str, Any]:
    return {"keyTag": tag, "algorithm": 13, "digestType": 2, "digest": digest}


def test_the_chain_says_which_link_is_missing_and_which_is_strange() -> None:
    keys = [{"keyTag": 1, "active": True}]
    whole = {"keys": keys, "ds": [ds(1)], "dsObserved": [ds(1, "AB")]}
    assert [tone for _, _, tone in chain("acme.example", whole)] == ["good", "good", "good", "good"]
    early = {"keys": keys, "ds": [ds(1)], "dsObserved": []}
    assert ("DS", "1 at example", "wait") in chain("acme.example", early)
    strange = {"keys": keys, "ds": [ds(1)], "dsObserved": [ds(9)]}
    assert ("DS", "9 at example", "bad") in chain("acme.example", strange)
    assert chain("acme.example", strange)[-1][2] == "wait", "no link of ours holds"
    assert chain("acme.example", None) == []


@pytest.mark.parametrize("side", ["", "/records", "/drift", "/propagation"])
async def test_each_side_of_a_zone_is_shown(look: Looking, side: str) -> None:
    look.daemons.answer("GetZone", {"name": "zones/acme.example", "state": "STATE_ACTIVE"})
    seen = await look.at(f"/console/zones/acme.example{side}")
    assert seen.status == 200
    assert "acme.example" in seen.text


SCHEMA = {
    "type": "object",
    "required": ["title"],
    "properties": {
        "title": {"type": "string", "description": "Shown on top."},
        "public": {"type": "boolean", "default": True},
        "size": {"enum": ["s", "m"], "default": "s"},
        "smtp": {"type": "object", "properties": {"port": {"type": "integer", "default": 25}}},
        "labels": {"type": "object"},
    },
}  # fmt: skip - a schema


def test_a_form_is_made_of_a_schema_and_read_back() -> None:
    form = inputs(SCHEMA)
    assert [(one.name, one.type) for one in form] == [
        ("title", "text"),
        ("labels", "textarea"),
        ("public", "checkbox"),
        ("size", "select"),
        ("smtp.port", "number"),
    ]  # fmt: skip - a table
    given = {"title": "Blog", "size": "m", "smtp.port": "587", "labels": '{"a": "b"}'}
    assert values(form, given) == (
        {"title": "Blog", "public": False, "size": "m", "smtp": {"port": 587}, "labels": {"a": "b"}},
        {},
    )  # fmt: skip - a pair
    assert values(form, {"smtp.port": "many", "labels": "{"})[1].keys() == {"smtp.port", "labels"}


async def test_what_the_catalogue_refuses_stands_at_its_field(look: Looking) -> None:
    latest = "blueprints/bp-ghost/versions/1.0.0"
    look.daemons.answer("GetBlueprint", {"name": "blueprints/bp-ghost", "title": "Ghost", "latestVersion": latest})
    version = {"semver": "1.0.0", "configSchema": SCHEMA}
    look.daemons.answer("ListVersions", {"versions": [version]})
    look.daemons.answer("GetVersion", version)
    look.daemons.answer(
        "ValidateConfig", lambda _: InvalidRequest([Violation("/smtp/port", "is above 65535", "maximum")])
    )
    seen = await look.send("/console/marketplace/bp-ghost/check", {"title": "Blog", "smtp.port": "99999"})
    assert seen.status == 422
    assert 'id="smtp.port-fault"' in seen.html
    look.daemons.answer("ValidateConfig", {"config": {"title": "Blog"}, "defaultedPaths": ["/size"]})
    taken = await look.send("/console/marketplace/bp-ghost/check", {"title": "Blog"})
    assert "It would be taken." in taken.text


async def test_a_voucher_is_issued_and_paused_from_its_page(look: Looking) -> None:
    look.daemons.answer("ListVouchers", {"vouchers": [VOUCHER]})
    look.daemons.answer("billing.GetVoucher", VOUCHER)
    roles = ("billing-admin",)
    form = {"voucher.amount.minor": "25000", "voucher.amount.currency": "OMR", "voucher.max_total": "3"}
    await look.send("/console/money/vouchers", form, roles=roles)
    (issued,) = look.daemons.wishes("CreateVoucher")
    assert (issued.voucher.amount.minor, issued.voucher.max_total, issued.activate) == (25000, 3, True)
    await look.send("/console/money/vouchers/v1/pause", {}, roles=roles)
    (paused,) = look.daemons.wishes("PauseVoucher")
    assert (paused.name, paused.etag) == ("vouchers/v1", '"1"')


async def test_a_dead_letter_is_handed_over_again(look: Looking) -> None:
    letter = {"name": "deadLetters/billing-7", "subject": "catalyst.v1.x.y.done", "error": "poison", "aggregate": "x/1"}
    look.daemons.answer("ListDeadLetters", {"deadLetters": [letter]})
    seen = await look.at("/console/admin/letters")
    assert "/console/timeline?about=x/1" in seen.links
    await look.send("/console/admin/letters/billing-7/replay", {})
    assert {wish.name for wish in look.daemons.wishes("ReplayDeadLetter")} == {"deadLetters/billing-7"}


async def test_the_timeline_tells_each_person_what_that_person_may_hear(look: Looking) -> None:
    async with look.work.transaction() as tx:
        for n, org in enumerate(("acme", "other")):
            await tx.add(
                {
                    "event_id": str(n),
                    "subject": "catalyst.v1.pooldomain.allocation.reserved",
                    "body": {},
                    "version": 1,
                    "aggregate": f"pools/p/allocations/{org}",
                    "time": datetime(2026, 1, 1, tzinfo=UTC),
                    "organization": org,
                }
            )  # fmt: skip - one call
    everything = await look.at("/console/timeline")
    assert ("allocations/acme" in everything.text, "allocations/other" in everything.text) == (True, True)
    own = await look.at("/console/timeline", roles=(), groups=("/acme/org-viewer",))
    assert ("allocations/acme" in own.text, "allocations/other" in own.text) == (True, False)
    one = await look.at("/console/timeline?about=pools/p/allocations/other")
    assert ("allocations/acme" in one.text, "allocations/other" in one.text) == (False, True)


def test_a_fact_about_a_version_does_not_say_a_number_twice() -> None:
    body = {"version": "1", "state": "STATE_VERIFIED"}
    told = timeline.says(
        {"subject": "catalyst.v1.catalog.version.published", "aggregate": "blueprints/b/versions/1", "body": body}
    )
    assert told == "verified"


async def test_the_zone_of_a_pool_is_signed_as_its_pool_says(look: Looking) -> None:
    names = ("zones/omani.works", "zones/acme.example")
    zones = [{"name": name, "kind": "KIND_POOL", "state": "STATE_ACTIVE"} for name in names]
    pool = {"name": "pools/omani.works", "zone": names[0], "state": "STATE_ACTIVE", "dnssec": {"enabled": True}}
    look.daemons.answer("ListPools", {"pools": [pool]})
    look.daemons.answer("ListZones", {"zones": zones})
    seen = (await look.at("/console/domains")).text.partition("Zones")[2]
    assert re.findall(r"(omani\.works|acme\.example) .*? (yes|no)", seen) == [
        ("omani.works", "yes"),
        ("acme.example", "no"),
    ]


@pytest.mark.parametrize(
    ("path", "way", "says"),
    [
        ("/console/sovereigns/gone", "/console/sovereigns", "There is no such book"),
        ("/console/nowhere", "/console", "The console has no page /console/nowhere"),
    ],
)
async def test_a_page_that_is_not_there_shows_the_way_to_one_that_is(
    look: Looking, path: str, way: str, says: str
) -> None:
    look.daemons.answer("GetSovereign", NoBook())
    seen = await look.at(path)
    assert (seen.status, says in seen.text, "Try again" in seen.text) == (404, True, False)
    assert f'class="button" href="{way}"' in seen.html


async def test_a_source_is_added_by_its_plugin_s_configuration_and_what_is_wrong_with_it_stands_there(
    look: Looking,
) -> None:
    form = {"source_id": " mine ", "source.kind": "git", "source.config": '{"url": "https://git.example/b.git"}'}
    made = await look.send("/console/admin/sources", form)
    (wish,) = look.daemons.wishes("CreateSource")
    assert (wish.source_id, wish.source.kind, dict(wish.source.config)) == (
        "mine",
        "git",
        {"url": "https://git.example/b.git"},
    )
    assert made.headers["location"] == "/console/admin/sources"
    for text, says in (("{", "This is no JSON"), ("[]", "An object is expected")):
        seen = await look.send("/console/admin/sources", {**form, "source.config": text})
        assert says in seen.text
    wrong = InvalidRequest((Violation("config.url", "it is no address", "format"),))
    look.daemons.answer("CreateSource", wrong)
    seen = await look.send("/console/admin/sources", form)
    assert 'id="source.config-fault">config.url: it is no address' in seen.html
    assert len(look.daemons.wishes("CreateSource")) == 2


async def test_a_book_of_prices_is_shown_before_it_is_published_and_only_over_the_one_that_was_looked_at(
    look: Looking,
) -> None:
    form = {"expected_number": "3", "rates[0].meter": "vcpu_hours", "rates[0].unit_price.minor": "7",
            "rates[0].unit_price.currency": "OMR", "note": "dearer power"}  # fmt: skip
    filled.fill(look.daemons)
    seen = await look.at("/console/admin/prices")
    assert all(word in seen.text for word in ("Book 3", "9.000 OMR", "in every plan", "−12.5 %", "0.005 OMR"))
    assert "Publish book" not in seen.text, "first it is looked at"
    seen = await look.send("/console/admin/prices", form)
    assert ("9.900 OMR" in seen.text, "Publish book 4" in seen.text) == (True, True)
    made = await look.send("/console/admin/prices", {**form, "verb": "publish"})
    assert (made.status, made.headers["location"]) == (303, "/console/admin/prices")
    first, second = look.daemons.wishes("PublishPriceBook")
    assert [(w.validate_only, w.expected_number, w.note) for w in (first, second)] == [
        (True, 3, "dearer power"), (False, 3, "dearer power"),
    ]  # fmt: skip
    (rate,) = second.rates
    assert (rate.meter, rate.unit_price.minor, rate.unit_price.currency) == ("meters/vcpu_hours", 7, "OMR")
    look.daemons.answer("PublishPriceBook", InvalidRequest((Violation("rates[0].meter", "no such meter", "known"),)))
    seen = await look.send("/console/admin/prices", form)
    assert (seen.status, 'id="rates[0].meter-fault">no such meter' in seen.html) == (422, True)
    look.daemons.answer("GetPriceBook", NoBook())
    seen = await look.at("/console/admin/prices")
    assert (seen.status, "No book of prices was published yet" in seen.text) == (200, True)
    assert (await look.at("/console/admin/prices/9")).status == 404


async def test_a_cloud_shows_its_regions_and_the_sizes_of_one(look: Looking) -> None:
    filled.fill(look.daemons)
    seen = await look.at("/console/admin/providers")
    assert "/console/admin/providers/hetzner" in seen.links
    assert "none is installed" in seen.text
    seen = await look.at("/console/admin/providers/hetzner")
    assert all(word in seen.text for word in ("Falkenstein", "cpx42", "16 GiB", "29.99 EUR", "phased out", "not known"))
    seen = await look.at("/console/admin/providers/hetzner?region=hel1")
    assert ("cpx42" in seen.text, "phased out" in seen.text) == (False, True)
    for method in ("ListRegions", "ListOffers"):
        look.daemons.answer(method, {})
    seen = await look.at("/console/admin/providers/hetzner")
    assert ("It tells of no region" in seen.text, "Nothing is sold here" in seen.text) == (True, True)


class TrustKept(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "ILLEGAL_TRANSITION", "it cannot be moved so"


async def test_versions_are_compared_and_moved_by_those_who_may_with_the_etag_that_they_saw(look: Looking) -> None:
    filled.fill(look.daemons)
    look.daemons.answer("catalog.GetVersion", {"name": "blueprints/bp-ghost/versions/5.94.0", "etag": '"7"'})
    path = "/console/marketplace/bp-ghost/studio"
    seen = await look.at(path, roles=("sovereign-admin",))
    assert all(word in seen.text for word in ("/smtp/port", "587", "^9.0", "can be upgraded to", "Withdraw"))
    assert ("Quarantine" in seen.text, "Lift the quarantine" in seen.text) == (False, False)
    (compared,) = look.daemons.wishes("CompareVersions")
    assert (compared.from_version, compared.to_version) == ("5.90.0", "5.94.0")
    officer = await look.at(f"{path}?from=5.94.0&to=5.90.0", roles=("security-officer",))
    assert [f'data-command="{word}' in officer.html for word in ("Withdraw", "Lift")] == [False, True]
    assert look.daemons.wishes("CompareVersions")[1].from_version == "5.94.0"
    form = {"reason": "it loses mail", "replacement": "bp-mail"}
    moved = await look.send(f"{path}/5.94.0/deprecate", form)
    assert (moved.status, moved.headers["location"]) == (303, path)
    await look.send(f"{path}/5.94.0/undeprecate", form)
    first, second = look.daemons.wishes("DeprecateVersion")
    assert (first.etag, first.reason, first.replacement, first.undo) == ('"7"', "it loses mail", "bp-mail", False)
    assert (second.undo, second.replacement) == (True, "")
    look.daemons.answer("QuarantineVersion", TrustKept())
    refused = await look.send(f"{path}/5.94.0/quarantine", form)
    assert (refused.status, "it cannot be moved so" in refused.text) == (422, True)
    assert (await look.send(f"{path}/5.94.0/delete", form)).status == 404
    for method in ("ListVersions", "CompareVersions"):
        look.daemons.answer(method, {})
    empty = await look.at(path)
    assert ("It has no version yet" in empty.text, "no two to compare" in empty.text) == (True, True)


async def test_a_blueprint_is_written_at_the_desk_and_taken_along_as_a_file(look: Looking) -> None:
    filled.fill(look.daemons)
    seen = await look.at("/console/studio", roles=(), groups=("/acme/org-developer",))
    assert all(word in seen.text for word in ("would not be taken", "spec.depends.0.version", "widen the range", "3:5"))
    assert all(line in seen.text for line in ("mkdir -p blueprints/shop", "catalyst blueprint publish blueprints/shop"))
    (asked,) = look.daemons.wishes("LintBlueprint")
    assert (asked.document, asked.parent) == (writing.START, "")
    form = {"document": "kind: x\r\n", "parent": "organizations/acme"}
    await look.send("/console/studio/look", form)
    asked = look.daemons.wishes("LintBlueprint")[-1]
    assert (asked.document, asked.parent) == ("kind: x\n", "organizations/acme")
    mended = await look.send("/console/studio/mend", form)
    assert ">kind: Blueprint\n</textarea>" in mended.html
    taken = await look.send("/console/studio/file", form)
    assert (taken.html, taken.headers["content-type"].split(";")[0]) == ("kind: x\n", "application/yaml")
    assert taken.headers["content-disposition"] == 'attachment; filename="blueprint.yaml"'
    look.daemons.answer("LintBlueprint", {"acceptable": True, "folder": "shop"})
    assert "would be taken" in (await look.send("/console/studio/look", form)).text
    assert "Nothing is written yet" in (await look.send("/console/studio/look", {"document": " "})).text


class NotKept(Refused):
    code, reason, message = Code.NOT_FOUND, "ARTIFACT_NOT_KEPT", "its bytes were not kept"


async def test_the_next_version_begins_with_the_text_of_the_last_as_its_author_wrote_it(look: Looking) -> None:
    filled.fill(look.daemons)
    text = "# what stands here stays\nkind: Blueprint\n"
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        member = tarfile.TarInfo("blueprint.yaml")
        member.size = len(text)
        archive.addfile(member, io.BytesIO(text.encode()))
    look.daemons.answer("ReadArtifact", {"data": base64.b64encode(made.getvalue()).decode()})
    path = "/console/studio?from=bp-ghost&version=5.94.0"
    assert text in (await look.at(path)).html
    assert look.daemons.wishes("ReadArtifact")[-1].name == "blueprints/bp-ghost/versions/5.94.0"
    look.daemons.answer("ReadArtifact", NotKept())
    look.daemons.answer("catalog.GetVersion", {"name": "x", "manifest": {"kind": "Blueprint"}})
    assert "&#34;kind&#34;: &#34;Blueprint&#34;" in (await look.at(path)).html


async def test_what_is_sold_is_made_changed_and_taken_away_with_the_etag_that_was_seen(look: Looking) -> None:
    filled.fill(look.daemons)
    seen = await look.at("/console/admin/selling")
    assert all(word in seen.text for word in ("Plan", "Add-on", "Backups", "sold"))
    form = {"title": "XS", "price.minor": "3000", "price.currency": "OMR", "limits.ram_mb": "2048"}
    made = await look.send("/console/admin/selling", {**form, "kind": "plans", "slug": "xs", "popular": "true"})
    assert (made.status, made.headers["location"]) == (303, "/console/admin/selling/plans/xs")
    (wish,) = look.daemons.wishes("catalog.CreatePlan")
    assert (wish.plan_id, wish.plan.price.minor, wish.plan.limits.ram_mb, wish.plan.popular) == ("xs", 3000, 2048, True)
    assert wish.plan.limits.HasField("disk_gb") is False, "an empty limit is none, not zero"
    path = "/console/admin/selling/plans/m"
    shown = await look.at(path)
    assert (shown.fields["etag"], shown.fields["limits.cpu_milli"]) == ('"4"', "4000")
    await look.send(path, {**form, "etag": '"4"', "retired": "true"})
    (changed,) = look.daemons.wishes("catalog.UpdatePlan")
    assert (changed.etag, changed.plan.name, changed.plan.retired) == ('"4"', "plans/m", True)
    assert list(changed.update_mask.paths) == ["title", "description", "retired", "price", "limits", "popular"]
    await look.send("/console/admin/selling/addOns/backup", {**form, "etag": '"2"'})
    (add_on,) = look.daemons.wishes("UpdateAddOn")
    assert list(add_on.update_mask.paths) == ["title", "description", "retired", "price"]
    await look.send("/console/admin/selling/addOns/backup", {"title": "Backups", "etag": '"2"'})
    assert list(look.daemons.wishes("UpdateAddOn")[1].update_mask.paths) == ["title", "description", "retired"]
    look.daemons.answer("catalog.DeletePlan", TrustKept())
    kept = await look.send(f"{path}/delete", {"etag": '"4"'})
    assert (kept.status, "it cannot be moved so" in kept.text) == (422, True)
    assert (await look.at("/console/admin/selling/yachts/m")).status == 404
