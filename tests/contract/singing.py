"""Secrets are sent through every door of the daemons, by ways that work and by ways that are refused."""

import json
from uuid import uuid4

import httpx
from catalyst.billing.v1 import resources_pb2 as money
from catalyst.billing.v1 import service_pb2 as billing
from catalyst.pooldomain.v1 import resources_pb2 as resources
from catalyst.pooldomain.v1 import service_pb2 as pdm
from catalyst_mesh import Issuer
from catalyst_testkit import eventually
from catalyst_testkit.processes import Nursery, Replicas
from google.protobuf import empty_pb2

from . import doors
from .aviary import NAMES, READS, SETTINGS, Aviary, drawn, odd
from .wishes import pooldomain


async def sing(aviary: Aviary, born: Nursery) -> None:
    """Send secrets through every door, by ways that work and by ways that are refused."""
    forger = Issuer.open(aviary.home / "forger")
    word, forged = drawn(), forger.token(aviary.bird, roles=["sovereign-admin"])
    aviary.secrets |= {"a password for a token": word, "a forged token": forged.rpartition(".")[2]}
    admin = aviary.token("admin", roles=["sovereign-admin", "billing-admin"], groups=["/acme/org-admin"])
    nobody, daemon = aviary.token("nobody"), aviary.token("a daemon", service="provisioner")
    for name, method in READS.items():
        asked = empty_pb2.Empty()
        for token, behalf in (
            (word, ""),
            (forged, ""),
            (daemon, word),
            (daemon, forged),
            (admin, nobody),
            (nobody, ""),
        ):
            await aviary.call(name, method, asked, token, behalf)
        await aviary.call(name, method, asked, admin)
    account = billing.EnsureAccountRequest(org=f"organizations/{aviary.bird}")
    assert await aviary.call("billing", "catalyst.billing.v1.AccountService/EnsureAccount", account, daemon)
    await reserve(aviary, admin)
    await register(aviary, admin)
    await trade(aviary, admin)
    await by_http(aviary, admin, word, forged)
    await doors.found(aviary, admin)
    await doors.build(aviary, admin)
    await fall(aviary, born)


async def reserve(aviary: Aviary, admin: str) -> None:
    """A name is held by a token, a wrong one is refused, and its zone goes to a server that takes another key."""
    pool = pooldomain.pool("omani.works")
    pool.pool.backend = "backends/powerdns"
    await aviary.call("pooldomain", "catalyst.pooldomain.v1.PoolService/CreatePool", pool, admin)
    wish = pdm.ReserveAllocationRequest(
        parent=pooldomain.POOL, label=aviary.bird, owner="organizations/acme", request_id=str(uuid4())
    )
    answers = [await aviary.call("pooldomain", f"{NAMES}/ReserveAllocation", wish, admin) for _ in range(2)]
    held = pdm.ReserveAllocationResponse.FromString(answers[0])
    assert answers[0] == answers[1]
    assert held.reservation_token.startswith("rsv_")
    wrong = drawn("rsv_", 32)
    aviary.secrets |= {"reservation": held.reservation_token[4:], "a wrong reservation": wrong[4:]}
    for token in (wrong, f"{wrong}!", held.reservation_token):
        renewal = pdm.RenewAllocationRequest(name=held.allocation.name, reservation_token=token)
        await aviary.call("pooldomain", f"{NAMES}/RenewAllocation", renewal, admin)
        release = pdm.ReleaseAllocationRequest(name=held.allocation.name, reservation_token=wrong, reason="x", etag="x")
        await aviary.call("pooldomain", f"{NAMES}/ReleaseAllocation", release, admin)
    commit = pdm.CommitAllocationRequest(name=held.allocation.name, reservation_token=held.reservation_token)
    commit.targets.add(slot="default", address="127.7.0.1")
    assert await aviary.call("pooldomain", f"{NAMES}/CommitAllocation", commit, admin)
    read = pdm.GetAllocationRequest(name=held.allocation.name)

    async def is_refused() -> bool:
        told = await aviary.call("pooldomain", f"{NAMES}/GetAllocation", read, admin)
        return b"CREDENTIALS_REJECTED" in told

    await eventually(is_refused, within=60, what="the reconciler has shown the key and was refused")  # type: ignore[arg-type]  # T is bool
    aviary.heard.append(repr(await aviary.call("pooldomain", f"{NAMES}/GetAllocation", read, admin)))


async def register(aviary: Aviary, admin: str) -> None:
    """Credentials for registrars: stored, exchanged, in hand, in both forms, ill-formed; the registrar repeats them all."""
    key, secret, other, strange = odd("\"\\'<&%/+="), odd("\"\\'<&%/+="), drawn(), drawn()
    aviary.secrets |= {
        "registrar key": key,
        "registrar secret": secret,
        "its successor": other,
        "an odd field": strange,
    }
    account, service = f"registrarAccounts/acc-{aviary.bird}", "catalyst.pooldomain.v1.RegistrarService"
    for registrar, fields in (("godaddy", {"key": key, "secret": secret}), ("dynadot", {"key": key})):
        made = pdm.CreateRegistrarAccountRequest(registrar_account_id=f"acc-{aviary.bird}", request_id=str(uuid4()))
        made.registrar_account.registrar, made.registrar_account.owner = f"registrars/{registrar}", "organizations/acme"
        for given in (fields, {**fields, "colour": strange}, {"key": strange[:3]}):
            made.registrar_account.credential.clear()
            made.registrar_account.credential.update(given)
            await aviary.call("pooldomain", f"{service}/CreateRegistrarAccount", made, admin)
        questions = [{"account": account}, {"token": f"{key}:{secret}"}, {"token": f"{key}:{strange}:{secret}:{other}"}]
        questions += [
            {"credential": {"fields": given}} for given in (fields, {**fields, "colour": strange}, {"key": strange})
        ]
        for question in questions:
            asked = pdm.ValidateRegistrarAccessRequest(
                name=f"registrars/{registrar}", domain=f"{aviary.bird}.example", **question
            )
            told = await aviary.call("pooldomain", f"{service}/ValidateRegistrarAccess", asked, admin)
            aviary.heard.append(repr(told))
        read = pdm.ReadDelegationRequest(name=account, domain=f"{aviary.bird}.example")
        assert not await aviary.call("pooldomain", f"{service}/ReadDelegation", read, admin)
        held = pdm.GetRegistrarAccountRequest(name=account)
        raw = await aviary.call("pooldomain", f"{service}/GetRegistrarAccount", held, admin)
        aviary.heard.append(repr(raw))
        changed = pdm.UpdateRegistrarAccountRequest(etag=resources.RegistrarAccount.FromString(raw).etag)
        changed.registrar_account.name = account
        changed.registrar_account.credential.update(dict.fromkeys(fields, other))
        assert await aviary.call("pooldomain", f"{service}/UpdateRegistrarAccount", changed, admin)
        raw = await aviary.call("pooldomain", f"{service}/GetRegistrarAccount", held, admin)
        gone = pdm.DeleteRegistrarAccountRequest(name=account, etag=resources.RegistrarAccount.FromString(raw).etag)
        if registrar == "godaddy":  # the second one stays in the database
            await aviary.call("pooldomain", f"{service}/DeleteRegistrarAccount", gone, admin)


async def trade(aviary: Aviary, admin: str) -> None:
    """Secrets of a payment provider: stored, exchanged, in an unknown field, in a call that claims to be the provider's."""
    secret, former, strange, shown = odd(), odd(), odd(), drawn()
    aviary.secrets |= {
        "provider's secret": secret,
        "its predecessor": former,
        "an odd secret": strange,
        "a signature": shown,
    }
    service = "catalyst.billing.v1.ProviderService"
    read = billing.GetProviderRequest(name="providers/fake")
    for name, value in (("webhook_secret", former), ("webhook_secret", secret), ("colour", strange)):
        held = money.Provider.FromString(await aviary.call("billing", f"{service}/GetProvider", read, admin))
        wish = billing.UpdateProviderRequest(etag=held.etag, update_mask={"paths": [f"secrets.{name}"]})
        wish.provider.name = held.name
        wish.provider.secrets[name].value = value
        wish.provider.secrets[name].previous_value = former
        aviary.heard.append(repr(await aviary.call("billing", f"{service}/UpdateProvider", wish, admin)))
    kept = money.Provider.FromString(await aviary.call("billing", f"{service}/GetProvider", read, admin))
    assert kept.secrets["webhook_secret"].last_four == secret[-4:], "it is there, and only its end is shown"
    event = billing.ReceiveWebhookRequest(provider="fake", headers={"fake-signature": shown})
    event.body.data, event.body.content_type = f'{{"id": "{aviary.bird}"}}'.encode(), "application/json"
    assert not await aviary.call("billing", f"{service}/ReceiveWebhook", event, admin)


async def by_http(aviary: Aviary, admin: str, word: str, forged: str) -> None:
    """The same by REST, in the header, in the cookie, in a body that cannot be read, in the query."""
    code, rsv = aviary.secrets["login code"], f"rsv_{aviary.secrets['a wrong reservation']}"
    name = f"/v1/pools/omani.works/allocations/{aviary.bird}"
    url = f"http://{aviary.replicas['gateway'].settings['http_listen']}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as http:
        for token in (word, forged, admin):
            headers = {"authorization": f"Bearer {token}"}
            for body in (
                {"reservation_token": rsv},
                {"reservation_token": [rsv]},
                {rsv: 1},
                f'{{"reservation_token": "{rsv}',
            ):
                content = body if isinstance(body, str) else json.dumps(body)
                answer = await http.post(f"{name}:renew", content=content, headers=headers)
                # What the caller wrote as the name of a field is told back to that caller, and to nobody else.
                aviary.heard += [] if isinstance(body, dict) and rsv in body else [answer.text]
            answer = await http.get(name, headers=headers)
            aviary.heard += [answer.text, repr(answer.headers)]
            aviary.heard.append((await http.get(name, headers={"cookie": f"__Host-catalyst={token}"})).text)
        refused = await http.post("/v1/auth/login", json={"code": code + word})
        let_in = await http.post("/v1/auth/login", json={"code": code})
        assert (refused.status_code, let_in.status_code) == (401, 204)
        aviary.secrets["session"] = let_in.cookies["__Host-catalyst"]
        aviary.heard += [refused.text, let_in.text, (await http.get("/v1/openapi.json")).text]


async def fall(aviary: Aviary, born: Nursery) -> None:
    """A daemon that cannot reach its database, and says so."""
    package, _, prefix = SETTINGS["billing"]
    home = aviary.home / "fallen"
    home.mkdir()
    url = f"postgresql+asyncpg://{aviary.bird}:{aviary.secrets['database']}@127.0.0.1:9/none"
    fallen = Replicas(born, package, prefix, home, {**aviary.replicas["billing"].settings, "database_url": url})
    aviary.replicas["fallen"] = fallen
    fallen.all.append(fallen._replica(0))
    fallen.all[0].start()
    assert await fallen.all[0].ended(within=60) != 0
