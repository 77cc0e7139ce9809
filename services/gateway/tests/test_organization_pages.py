"""Organizations, people, Environments, Applications, the shop, the audit line: what they show, and what their actions ask for."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from catalyst_gateway.console.environments import asked_for, wished
from catalyst_gateway.console.installing import choices_of
from catalyst_gateway.console.marketplace import inputs
from catalyst_mesh import InvalidRequest
from catalyst_mesh.access import CallDenied
from catalyst_mesh.calls import RoleDenied
from catalyst_sdk import Code, Refused, Violation

from . import filled
from .filled_organizations import APP, ENV, INVITATION, OPERATION, ORDER, ORG, PROMOTION, QUOTE, WEBHOOK
from .looking import Looking

VIEWER, DEVELOPER, ADMIN = "/acme/org-viewer", "/acme/org-developer", "/acme/org-admin"


class PlanStale(Refused):
    code, reason, message = Code.ABORTED, "PLAN_STALE", "the plan is another one by now"


@pytest.fixture
def house(look: Looking) -> Looking:
    """A house in which there is something of everything."""
    filled.fill(look.daemons)
    return look


def paths(seen: Any) -> str:
    return " ".join(part.split('"')[1] for part in seen.html.split("action=")[1:])


async def test_an_organization_is_made_and_what_is_refused_stands_at_its_field(look: Looking) -> None:
    look.daemons.answer("CreateOrganization", {"name": ORG})
    form = {"organization_id": " acme ", "organization.display_name": "Acme", "organization.kind": "CUSTOMER"}
    made = await look.send("/console/organizations", {**form, "organization.default_environment_type": "dev"})
    (wish,) = look.daemons.wishes("CreateOrganization")
    assert (wish.organization_id, wish.organization.default_environment_type) == ("acme", "dev")
    assert (made.status, made.headers["location"]) == (303, f"/console/{ORG}")
    look.daemons.answer(
        "CreateOrganization", InvalidRequest([Violation("organization_id", "it is reserved", "SLUG_RESERVED")])
    )
    refused = await look.send("/console/organizations", form)
    assert (refused.status, refused.fields["organization_id"]) == (422, " acme ")
    assert 'id="organization_id-fault">it is reserved' in refused.html


async def test_an_organization_goes_only_for_who_types_its_name(house: Looking) -> None:
    wrong = await house.send(f"/console/{ORG}/delete", {"confirm": "acm"})
    assert (wrong.status, house.daemons.wishes("DeleteOrganization")) == (422, [])
    await house.send(f"/console/{ORG}/delete", {"confirm": "acme", "says": "the contract ended"})
    (wish,) = house.daemons.wishes("DeleteOrganization")
    assert (wish.confirm, wish.reason, wish.etag) == ("acme", "the contract ended", '"4"')


async def test_whoever_keeps_the_sovereign_sees_that_there_is_an_organization_and_not_what_is_in_it(
    house: Looking,
) -> None:
    house.daemons.answer("ListEnvironments", RoleDenied(subject="ada", resource=ORG))
    seen = await house.at(f"/console/{ORG}")
    assert (seen.status, "its members see" in seen.text, "acme-prod" in seen.text) == (200, True, False)


@pytest.mark.parametrize(("group", "shown"), [(VIEWER, False), (DEVELOPER, True), (ADMIN, True)])
async def test_a_viewer_is_shown_no_action(house: Looking, group: str, shown: bool) -> None:
    actions = ""
    for path in (ORG, f"{ORG}/people", ENV, APP, f"{ENV}/policy"):
        seen = await house.at(f"/console/{path}", roles=(), groups=(group,))
        assert seen.status == 200
        actions += paths(seen)
    assert (f"/console/{APP}/pause" in actions) == shown
    assert (f"/console/{ORG}/delete" in actions) == (group == ADMIN)
    assert (f"/console/{ORG}/people/" in actions) == (group == ADMIN)


async def test_an_invitation_is_sent_and_its_token_shown_this_once(house: Looking) -> None:
    house.daemons.answer("CreateInvitation", {"name": INVITATION, "email": "cy@acme.example", "token": "t0ken"})
    form = {"invitation.email": "cy@acme.example", "invitation.role": "VIEWER"}
    sent = await house.send(f"/console/{ORG}/people", form)
    assert ("t0ken" in sent.text, f"http://console.test/console/{INVITATION}" in sent.text) == (True, True)
    assert "t0ken" not in (await house.at(f"/console/{ORG}/people")).text
    await house.send(f"/console/{INVITATION}/accept", {"token": " t0ken "}, roles=(), groups=("/other/org-viewer",))
    assert [wish.token for wish in house.daemons.wishes("AcceptInvitation")] == ["t0ken"]


async def test_a_members_role_is_set_under_the_etag_that_was_read(house: Looking) -> None:
    house.daemons.answer("GetMember", {"name": f"{ORG}/members/m-00000000000000000002", "etag": '"7"'})
    await house.send(f"/console/{ORG}/people/m-00000000000000000002/role", {"role": "ADMIN"})
    (wish,) = house.daemons.wishes("UpdateMember")
    assert (wish.etag, list(wish.update_mask.paths), wish.member.role) == ('"7"', ["role"], 1)


async def test_a_webhooks_secret_is_shown_this_once_and_what_it_was_sent_can_be_sent_again(house: Looking) -> None:
    house.daemons.answer("CreateWebhook", {"name": WEBHOOK, "url": "https://h.example", "drawnSecret": "whsec_x"})
    form = {"webhook.url": "https://h.example", "webhook.types": "catalyst.v1.billing.* catalyst.v1.environment.*"}
    made = await house.send(f"/console/{ORG}/webhooks", form)
    (wish,) = house.daemons.wishes("CreateWebhook")
    assert (len(wish.webhook.types), "whsec_x" in made.text) == (2, True)
    seen = await house.at(f"/console/{WEBHOOK}")
    assert ("503" in seen.text, "whsec_x" in seen.text) == (True, False)
    await house.send(f"/console/{WEBHOOK}/replay", {"delivery": seen.fields["delivery"]})
    assert [wish.delivery for wish in house.daemons.wishes("ReplayWebhook")] == [f"{WEBHOOK}/deliveries/0197"]


def test_a_policy_is_its_form_and_the_form_the_policy() -> None:
    policy = filled.ANSWERS["GetPolicy"]
    form = asked_for(policy)
    assert (form["soak"], form["windows"]) == ("4", "1,2 22:00 4h")
    wish, wrong = wished(form)
    assert ({name: policy[name] for name in wish}, wrong) == (wish, {})
    assert wished({**form, "soak": "long", "windows": "Monday"})[1].keys() == {"soak", "windows"}


async def test_a_promotion_shows_each_gate_and_a_yes_is_asked_for_by_name(house: Looking) -> None:
    seen = await house.at(f"/console/{PROMOTION}")
    assert "1 of 2" in seen.text
    assert "does not count" in seen.text, "ada asked for it"
    await house.send(f"/console/{PROMOTION}/override", {"says": "the site is down"})
    assert [wish.reason for wish in house.daemons.wishes("OverridePromotion")] == ["the site is down"]


PLAN = {
    "blueprint": "blueprints/bp-ghost",
    "version": "5.94.0",
    "planDigest": "d1gest",
    "applications": [{"name": "blog-mysql", "alias": "db"}, {"name": "blog", "wave": 1}],
    "openChoices": [{"alias": "db", "chosen": "dedicated", "candidates": ["mysql"]}],
    "priceDelta": {"minor": "0", "currency": "OMR"},
}  # fmt: skip - a document
FORM = {"install:environment": "acme-prod", "install:application": "blog", "install:version": "5.94.0", "title": "Blog"}


async def test_an_application_is_installed_by_the_digest_of_the_preview_that_was_seen(house: Looking) -> None:
    house.daemons.answer("PlanInstall", PLAN)
    house.daemons.answer("CreateApplication", {"name": APP})
    where = "/console/marketplace/bp-ghost/install"
    seen = await house.send(f"{where}/preview", FORM)
    assert "blog-mysql" in seen.text
    assert (seen.fields["install:digest"], seen.fields["title"]) == ("d1gest", "Blog")
    assert house.daemons.wishes("CreateApplication") == [], "nothing is written by a preview"
    done = await house.send(where, {**FORM, "install:digest": "d1gest", "choice.db": "reuse:mysql"})
    (wish,) = house.daemons.wishes("CreateApplication")
    assert (wish.parent, wish.application_id, wish.plan_digest) == (ENV, "blog", "d1gest")
    assert dict(wish.application.choices) == {"db": "reuse:mysql"}
    assert done.headers["location"] == f"/console/{APP}"
    house.daemons.answer("CreateApplication", PlanStale())
    stale = await house.send(where, {**FORM, "install:digest": "d1gest"})
    assert (stale.status, "PLAN_STALE" in stale.text, stale.fields["title"]) == (422, True, "Blog")


def test_a_choice_that_was_made_stays_when_it_is_no_longer_open() -> None:
    chosen = choices_of({**PLAN, "openChoices": []}, {"choice.db": "reuse:mysql"})
    assert [(one.alias, one.chosen, len(one.options)) for one in chosen] == [("db", "reuse:mysql", 2)]
    assert [one.chosen for one in choices_of(PLAN, {})] == ["dedicated"]


def test_a_switch_that_is_off_by_default_is_shown_off() -> None:
    schema = {"properties": {"on": {"type": "boolean", "default": True}, "off": {"type": "boolean", "default": False}}}
    assert {one.name: one.default for one in inputs(schema)} == {"on": "true", "off": ""}


async def test_what_would_go_is_shown_before_it_goes_and_only_under_its_etag(house: Looking) -> None:
    seen = await house.at(f"/console/{APP}/uninstall")
    assert "blog , mysql" in seen.text or "blog, mysql" in seen.text
    form = {"etag": seen.fields["etag"], "cascade": "true"}
    wrong = await house.send(f"/console/{APP}/uninstall", {**form, "confirm": "blo"})
    assert (wrong.status, house.daemons.wishes("DeleteApplication")) == (422, [])
    await house.send(f"/console/{APP}/uninstall", {**form, "confirm": "blog"})
    (wish,) = house.daemons.wishes("DeleteApplication")
    assert (wish.etag, wish.cascade) == ('"9"', True)


async def test_an_application_is_upgraded_configured_and_its_failed_work_tried_again(house: Looking) -> None:
    seen = await house.at(f"/console/{APP}")
    assert ("6.0.0" in seen.text, "the repository is locked" in seen.text) == (True, True)
    assert (seen.fields["smtp.port"], seen.fields["title"]) == ("587", "Blog")
    await house.send(f"/console/{APP}/upgrade", {"version": "6.0.0"})
    await house.send(f"/console/{APP}/configure", {"title": "Our blog", "smtp.port": "25"})
    await house.send(f"/console/{APP}/retry", {})
    assert [wish.blueprint_version for wish in house.daemons.wishes("UpgradeApplication")] == ["6.0.0"]
    (wish,) = house.daemons.wishes("UpdateApplication")
    assert (wish.application.config["title"], wish.application.config["smtp"]["port"]) == ("Our blog", 25)
    assert [wish.name for wish in house.daemons.wishes("RetryOperation")] == [OPERATION]


async def test_a_cart_is_its_address_and_its_price_the_servers(house: Looking) -> None:
    seen = await house.at("/console/shop?app=ghost&org=acme&plan=m")
    assert 'value="ghost" checked' in seen.html
    house.daemons.answer("CreateQuote", {"name": QUOTE})
    priced = await house.send("/console/shop", {"org": "acme", "plan": "m", "app": ["ghost"], "period": "1"})
    (wish,) = house.daemons.wishes("CreateQuote")
    assert (wish.parent, list(wish.selection.apps), wish.HasField("amount")) == (
        "billingAccounts/acme",
        ["ghost"],
        False,
    )
    assert priced.headers["location"] == f"/console/{QUOTE}"
    quote = await house.at(f"/console/{QUOTE}")
    assert "VAT, 5 %" in quote.text
    house.daemons.answer("CreateOrder", {"name": ORDER})
    await house.send(f"/console/{QUOTE}", {"hash": quote.fields["hash"], "environment": ENV})
    (ordered,) = house.daemons.wishes("CreateOrder")
    assert (ordered.quote, ordered.quote_hash, ordered.environment) == (QUOTE, "f" * 64, ENV)


async def test_whoever_belongs_to_no_organization_comes_into_the_shop_and_keeps_the_cart(house: Looking) -> None:
    cart = "app=ghost&plan=m"
    nobody = await house.at(f"/console/shop?{cart}", roles=())
    assert (nobody.status, 'value="ghost" checked' in nobody.html) == (200, True)
    away = await house.at(f"/console/shop/order?{cart}", roles=())
    there = parse_qs(urlsplit(away.headers["location"]).query)["next"][0]
    back = await house.at(there, roles=(), groups=("/other/org-viewer",))
    assert back.headers["location"] == f"/console/shop?{cart}"
    house.daemons.answer("ListOrganizations", {})
    assert "Name of the Organization" in (await house.at(f"/console/shop?{cart}", roles=(), groups=("/x/y",))).text
    assert (await house.at("/console/organizations", roles=(), groups=("/x/y",))).status == 200
    house.daemons.answer("CreateOrganization", {"name": ORG})
    form = {"plan": "m", "app": ["ghost"], "organization_id": "acme", "organization.display_name": "Acme"}
    made = await house.send("/console/shop/organization", form)
    assert made.headers["location"] == "/console/shop?plan=m&app=ghost&org=acme"
    assert [wish.organization.display_name for wish in house.daemons.wishes("CreateOrganization")] == ["Acme"]


async def test_an_industry_puts_its_bundle_and_apps_first(house: Looking) -> None:
    plain = {"kind": "KIND_APP", "deployable": True}
    apps = [{"name": "apps/crm", "title": "CRM", **plain}, {"name": "apps/till", "title": "Till", **plain}]
    shop = {"name": "industries/shops", "title": "Shops", "bundle": "bundles/shop", "suggestedApps": ["apps/till"]}
    house.daemons.answer("ListApps", {"apps": apps})
    house.daemons.answer("ListIndustries", {"industries": [shop]})
    house.daemons.answer(
        "ListBundles",
        {"bundles": [{"name": "bundles/shop", "title": "A shop", "discountBps": 1000, "deployable": True}]},
    )
    seen = await house.at("/console/shop?industry=shops")
    assert seen.html.index('value="till"') < seen.html.index('value="crm"')
    assert ('name="bundle" value="shop" checked' in seen.html, "10 % less" in seen.text) == (True, True)
    house.daemons.answer("CreateQuote", {"name": QUOTE})
    await house.send("/console/shop", {"org": "acme", "plan": "m", "bundle": "shop"})
    assert [wish.selection.bundle for wish in house.daemons.wishes("CreateQuote")] == ["shop"]


async def test_a_card_is_shown_to_whoever_may_not_ask_what_comes_with_it(house: Looking) -> None:
    house.daemons.answer("Closure", CallDenied(subject="vera", method="Closure"))
    seen = await house.at("/console/marketplace/bp-ghost", roles=(), groups=(VIEWER,))
    assert (seen.status, "Those see it who install" in seen.text, "/install" in " ".join(seen.links)) == (
        200,
        True,
        False,
    )
    nowhere = await house.at("/console/marketplace/bp-ghost/install", roles=(), groups=(VIEWER,))
    assert "There is nowhere to install it." in nowhere.text


async def test_the_audit_line_is_a_security_officers_and_an_admins_for_the_own_organization(house: Looking) -> None:
    mine = await house.at("/console/admin/audit?organization=acme", roles=(), groups=(ADMIN,))
    foreign = await house.at("/console/admin/audit?organization=other", roles=(), groups=(ADMIN,))
    everything = await house.at("/console/admin/audit", roles=("sovereign-admin",))
    assert (mine.status, foreign.status, everything.status) == (200, 403, 403)


async def test_work_that_a_person_may_not_see_leaves_the_page_as_it_is(house: Looking) -> None:
    house.daemons.answer("GetOperation", RoleDenied(subject="ada", resource=OPERATION))
    seen = await house.at(f"/console/{ORG}")
    assert (seen.status, "the repository is locked" in seen.text) == (200, False)
