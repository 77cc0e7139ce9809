"""Further doors of the canary: credentials, plans and runs, webhooks, invitations, sessions; and what daemons drew themselves."""

import base64
import json
import os
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

from catalyst.environment.v1 import resources_pb2 as organizations
from catalyst.environment.v1 import service_pb2 as environment
from catalyst.provisioner.v1 import resources_pb2 as sovereigns
from catalyst.provisioner.v1 import service_pb2 as provisioner
from catalyst_mesh import Database, Sealer, sealed_at
from catalyst_mesh.resealing import sealed_columns
from catalyst_testkit import eventually
from sqlalchemy import select

from .aviary import SETTINGS, Aviary, drawn, odd

_P, _E = "catalyst.provisioner.v1", "catalyst.environment.v1"
_MESSAGES = {
    ("idempotency", "answer"), ("enrolment", "answer"), ("provider_event", "body"), ("cluster", "plugin_state"),
    ("plugin_state", "state"),
}  # fmt: skip
"""Sealed columns whose values are whole messages or documents; what is secret of them stands elsewhere too."""


async def build(aviary: Aviary, admin: str) -> None:
    """Credentials of clouds and repositories, as they should be and not; a plan with them, and a run until servers enrol."""
    token, other = drawn("sbt_acme_", 16), drawn("sbt_acme_", 16)
    git, wrong = odd(), odd()
    aviary.secrets |= {
        "cloud credential": token,
        "its next version": other,
        "git password": git,
        "a wrong field": wrong,
    }
    cloud, home = f"credentials/{aviary.bird}-cloud", f"credentials/{aviary.bird}-git"
    service = f"{_P}.CredentialService"
    for name, kind, provider, values in (
        (cloud, "cloud_provider", "sandbox", {"token": token}),
        (cloud, "cloud_provider", "sandbox", {"token": wrong}),
        (f"{cloud}-odd", "cloud_provider", "sandbox", {"colour": wrong, "token": wrong}),
        (home, "git", "", {"username": aviary.bird, "password": git}),
        (f"{home}-odd", "git", "", {"username": wrong, "pass": wrong}),
    ):
        made = provisioner.CreateCredentialRequest(values=values)
        made.credential.name, made.credential.kind, made.credential.provider = name, kind, provider
        made.credential.organization = "acme"
        aviary.heard.append(repr(await aviary.call("provisioner", f"{service}/CreateCredential", made, admin)))
    version = provisioner.AddCredentialVersionRequest(name=cloud, values={"token": other})
    assert await aviary.call("provisioner", f"{service}/AddCredentialVersion", version, admin)
    for name in (cloud, home):
        raw = await aviary.call(
            "provisioner", f"{service}/GetCredential", provisioner.GetCredentialRequest(name=name), admin
        )
        assert raw
        aviary.heard.append(repr(raw))
    await _planned(aviary, admin, cloud, home)


async def _planned(aviary: Aviary, admin: str, cloud: str, home: str) -> None:
    wish = provisioner.CreateSovereignRequest()
    wish.sovereign.name = f"sovereigns/{aviary.bird}"
    spec = wish.sovereign.spec
    spec.organization.slug, spec.organization.admin_email = "acme", "ops@acme.example"
    spec.domain.mode, spec.domain.pool, spec.domain.label = "pool", "omani.works", f"s{aviary.bird}"
    cluster = spec.clusters.add(provider="sandbox", region="east", building_block="mgt", env_type="prod")
    cluster.hosts.extend(["mgt", "rtz", "dmz"])
    cluster.credential.name = cloud
    cluster.control_plane.size, cluster.control_plane.count = "sb8", 1
    for name in ("general", "data"):
        cluster.worker_pools.add(name=name, size="sb4", count=1)
    spec.gitops.remote, spec.gitops.credential.name = "http://127.0.0.1:9/acme/tree.git", home
    held = sovereigns.Sovereign.FromString(
        await aviary.call("provisioner", f"{_P}.SovereignService/CreateSovereign", wish, admin)
    )
    asked = provisioner.CreatePlanRequest(parent=held.name, intent=1)
    raw = await aviary.call("provisioner", f"{_P}.PlanService/CreatePlan", asked, admin)
    plan = sovereigns.Plan.FromString(raw)
    aviary.heard += [repr(raw), repr(plan), str(plan)]
    assert plan.applicable, list(plan.findings)
    begun = provisioner.ApplyPlanRequest(name=plan.name, hash=plan.hash)
    assert await aviary.call("provisioner", f"{_P}.PlanService/ApplyPlan", begun, admin)

    async def is_held() -> bool:
        return any([column == "token" async for _, column, _ in opened(aviary, "provisioner")])

    await eventually(is_held, within=300, what="a name is reserved for the run")


async def found(aviary: Aviary, admin: str) -> None:
    """An Organization with a webhook whose secret is given, one whose secret is drawn, and an invitation."""
    org = f"organizations/{aviary.bird}-org"
    made = environment.CreateOrganizationRequest(organization_id=f"{aviary.bird}-org")
    made.organization.display_name = aviary.bird
    assert await aviary.call("environment", f"{_E}.OrganizationService/CreateOrganization", made, admin)

    async def is_active() -> bool:
        read = environment.GetOrganizationRequest(name=org)
        raw = await aviary.call("environment", f"{_E}.OrganizationService/GetOrganization", read, admin)
        return organizations.Organization.FromString(raw).state == organizations.Organization.STATE_ACTIVE

    await eventually(is_active, within=300, what="the Organization is active")
    given, bad = base64.b64encode(os.urandom(32)).decode(), odd()
    aviary.secrets |= {"webhook secret": given, "a wrong webhook secret": bad}
    for secret in (f"whsec_{given}", bad, ""):
        wish = environment.CreateWebhookRequest(parent=org)
        wish.webhook.url, wish.webhook.secret = "https://93.184.216.34/hooks", secret
        wish.webhook.types.append("catalyst.v1.unheard.*")
        raw = await aviary.call("environment", f"{_E}.WebhookService/CreateWebhook", wish, admin)
        webhook = organizations.Webhook.FromString(raw)
        if webhook.drawn_secret:
            aviary.secrets["a drawn webhook secret"] = webhook.drawn_secret.removeprefix("whsec_")
    assert "a drawn webhook secret" in aviary.secrets
    wish = environment.CreateInvitationRequest(parent=org)
    wish.invitation.email = f"{aviary.bird}@acme.example"
    wish.invitation.role = organizations.Member.ROLE_VIEWER
    raw = await aviary.call("environment", f"{_E}.MemberService/CreateInvitation", wish, admin)
    invitation = organizations.Invitation.FromString(raw)
    assert invitation.token
    aviary.secrets["invitation"] = invitation.token
    for token in (invitation.token, bad[:100]):
        asked = environment.AcceptInvitationRequest(name=invitation.name, token=token)
        await aviary.call("environment", f"{_E}.MemberService/AcceptInvitation", asked, admin)


async def opened(aviary: Aviary, name: str) -> AsyncIterator[tuple[str, str, bytes]]:
    """Each sealed value of a daemon's database: table, column and what it is."""
    metadata = import_module(f"{SETTINGS[name][0]}.store").metadata
    sealer = Sealer.from_file(aviary.home / name / "seal.key")
    db = await Database.open(aviary.databases[name])
    try:
        async with db.read() as sql:
            for table, column in sealed_columns(metadata):
                for sealed, *key in (await sql.execute(select(column, *table.primary_key.columns))).all():
                    if sealed:
                        yield table.name, column.name, sealer.open(sealed, sealed_at(column, *key))
    finally:
        await db.close()


async def open_the_safes(aviary: Aviary) -> dict[str, bytes]:
    """Everything that is secret of what the daemons keep sealed, whoever made it."""
    kept: dict[str, bytes] = {}
    for name in aviary.databases:
        async for table, column, value in opened(aviary, name):
            if (table, column) not in _MESSAGES:
                told = [part for part in _parts(value) if part != aviary.bird.encode()]  # that one is no secret
                kept |= {f"{table}.{column} {len(kept)}.{n}": one for n, one in enumerate(told)}
    return kept


def _parts(value: bytes) -> list[bytes]:
    """The value, or where it is a document of several ones each of them; none that is too short to be a secret."""
    try:
        fields: Any = json.loads(value)
    except ValueError:
        fields = None
    parts = [str(one).encode() for one in fields.values()] if isinstance(fields, dict) else [value]
    return [part for part in parts if len(part) >= 16]
