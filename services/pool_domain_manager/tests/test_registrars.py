"""Registrars and accounts at them, over gRPC: what is kept, who sees it, what a registrar's answer becomes."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from catalyst.pooldomain.v1.resources_pb2 import Pool, RegistrarAccount
from catalyst.pooldomain.v1.service_pb2 import (
    CreatePoolRequest,
    DeleteRegistrarAccountRequest,
    GetPoolRequest,
    GetRegistrarAccountRequest,
    GetRegistrarRequest,
    ListRegistrarAccountsRequest,
    ListRegistrarsRequest,
    ReadDelegationRequest,
    RegistrarCredential,
    UpdatePoolRequest,
    UpdateRegistrarAccountRequest,
)
from catalyst.pooldomain.v1.service_pb2_grpc import PoolServiceStub
from catalyst_mesh import explain
from catalyst_pool_domain_manager.domain import delegations
from catalyst_pool_domain_manager.domain.delegations import State
from catalyst_pool_domain_manager.store import Store
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.dumps import dump
from catalyst_testkit.fake_registrar import FakeAnswer
from catalyst_testkit.servers import NatsServer
from google.protobuf.json_format import MessageToDict
from sqlalchemy import text

from .registrar_bench import DOMAIN, GOOD, KEY, SECRET, WRONG, Desk, creation, desk, question

pytestmark = pytest.mark.either_database

NAME = "registrarAccounts/acme-main"
PLUGINS = ["cloudflare", "dynadot", "godaddy", "manual", "namecheap", "ovh"]


@pytest.fixture
async def at(home: Path, clean_nats: NatsServer, database: str) -> AsyncIterator[Desk]:
    async with desk(home, clean_nats, database, egress_ip="192.0.2.99") as one:
        yield one


@pytest.fixture
async def on_sqlite(home: Path, clean_nats: NatsServer) -> AsyncIterator[Desk]:
    """For what the database has no part in."""
    async with desk(home, clean_nats, f"sqlite+aiosqlite:///{home}/test.db", egress_ip="192.0.2.99") as one:
        yield one


async def events(at: Desk) -> list[tuple[str, int]]:
    async with at.daemon.daemon.db.read() as sql:
        rows = await sql.execute(text("SELECT subject, version FROM outbox ORDER BY number"))
        return [(subject.rpartition("registrar_account.")[2], version) for subject, version in rows]


async def test_every_registrar_is_listed_with_its_form_and_what_it_can_do(on_sqlite: Desk) -> None:
    anybody = on_sqlite.member("acme", "org-viewer")
    listed = await anybody.ListRegistrars(ListRegistrarsRequest())
    assert [one.name.removeprefix("registrars/") for one in listed.registrars] == PLUGINS
    assert all(one.available for one in listed.registrars)
    namecheap = await anybody.GetRegistrar(GetRegistrarRequest(name="registrars/namecheap"))
    assert (namecheap.capabilities.set_ns, namecheap.capabilities.needs_ip_allowlist) == (True, True)
    schema = MessageToDict(namecheap.credential_schema)
    assert (sorted(schema["properties"]), schema["properties"]["key"]["x-secret"]) == (
        ["ip", "key", "user", "userName"], True,
    )  # fmt: skip
    assert namecheap.delay_max.seconds == 172800
    page = await anybody.ListRegistrars(ListRegistrarsRequest(page_size=4))
    rest = await anybody.ListRegistrars(ListRegistrarsRequest(page_size=4, page_token=page.next_page_token))
    assert [len(page.registrars), len(rest.registrars), rest.next_page_token] == [4, 2, ""]


async def test_a_registrar_that_nobody_knows_is_refused_with_those_that_there_are(on_sqlite: Desk) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await on_sqlite.admin.GetRegistrar(GetRegistrarRequest(name="registrars/nobody"))
    why = explain(refused.value)
    assert (why.reason, why.metadata["supported"]) == ("REGISTRAR_NOT_FOUND", ", ".join(PLUGINS))


async def test_an_account_lives_and_its_credential_never_comes_out(at: Desk, database: str) -> None:
    owner = at.member()
    made = await at.account()
    assert (made.name, made.owner, made.registrar) == (NAME, "organizations/acme", "registrars/godaddy")
    assert await owner.GetRegistrarAccount(GetRegistrarAccountRequest(name=NAME)) == made
    assert not made.credential
    access = await owner.ValidateRegistrarAccess(question(account=NAME))
    assert (access.valid, access.can_read, access.can_write_ns, access.can_write_ds) == (True, True, True, False)
    found = await owner.ReadDelegation(ReadDelegationRequest(name=NAME, domain=DOMAIN))
    assert list(found.records.ns) == ["ns1.old.example", "ns2.old.example"]
    checked = await owner.GetRegistrarAccount(GetRegistrarAccountRequest(name=NAME))
    assert (list(checked.entitlements), checked.last_check, checked.version) == (["read", "write_ns"], access, 2)
    mask = {"paths": ["credential"]}
    wish = UpdateRegistrarAccountRequest(
        registrar_account=RegistrarAccount(name=NAME, credential=WRONG), etag=made.etag, update_mask=mask
    )
    assert await reason_of(owner.UpdateRegistrarAccount(wish)) == "ETAG_MISMATCH"
    wish.etag = checked.etag
    changed = await owner.UpdateRegistrarAccount(wish)
    assert (list(changed.entitlements), changed.HasField("last_check"), changed.version) == ([], False, 3)
    refused = await owner.ValidateRegistrarAccess(question(account=NAME))
    assert (refused.valid, [one.reason for one in refused.reasons]) == (False, ["REGISTRAR_CREDENTIALS_REJECTED"])
    now = await owner.GetRegistrarAccount(GetRegistrarAccountRequest(name=NAME))
    await owner.DeleteRegistrarAccount(DeleteRegistrarAccountRequest(name=NAME, etag=now.etag))
    assert await reason_of(owner.GetRegistrarAccount(GetRegistrarAccountRequest(name=NAME))) == (
        "REGISTRAR_ACCOUNT_NOT_FOUND"
    )
    assert await events(at) == [("created", 1), ("validated", 2), ("rejected", 4), ("deleted", 5)]
    held = await dump(database)
    assert [secret for secret in (KEY, SECRET, WRONG["secret"]) if secret.encode() in held] == []


async def test_an_account_that_a_move_still_needs_is_not_deleted(at: Desk) -> None:
    made = await at.account()
    wish = DeleteRegistrarAccountRequest(name=NAME, etag=made.etag)
    work = at.daemon.daemon.work
    week = timedelta(days=7)

    async def saved(**changes: object) -> None:
        async def step(tx: Store) -> None:
            known = await tx.delegation("acme.example")
            before = known or delegations.none_yet("acme.example", "uid", "organizations/acme", tx.now)
            until = {name: tx.now + value for name, value in changes.items() if isinstance(value, timedelta)}
            after = replace(before, account=NAME, version=before.version + 1, **{**changes, **until})
            await tx.save_delegation(after)

        await work.again(step)

    for needed in ({"state": State.PLANNED, "plan_until": week}, {"run": "r"}, {"rollback_until": week}):
        await saved(**{"state": State.WATCHING, "run": "", "rollback_until": None, **needed})
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await at.member().DeleteRegistrarAccount(wish)
        why = explain(refused.value)
        assert (why.reason, why.metadata["user"]) == ("REGISTRAR_ACCOUNT_IN_USE", "zones/acme.example/delegation")
    await saved(state=State.DELEGATED, rollback_until=-week)
    pools = at.daemon.admin(PoolServiceStub)
    pool = Pool(kinds=[Pool.KIND_SOVEREIGN], registrar_account="registrarAccounts/nobodys")
    request = CreatePoolRequest(pool_id="acme.works", pool=pool)
    assert await reason_of(pools.CreatePool(request)) == "REGISTRAR_ACCOUNT_NOT_FOUND"
    request.pool.registrar_account = NAME
    stored = await pools.CreatePool(request)
    assert stored.registrar_account == NAME
    assert await reason_of(at.member().DeleteRegistrarAccount(wish)) == "REGISTRAR_ACCOUNT_IN_USE"

    async def looked_at() -> bool:
        return (await pools.GetPool(GetPoolRequest(name=stored.name))).version > stored.version

    assert await eventually(looked_at, within=60)
    # Who looks after its zone has written it meanwhile, and wished nothing of it: the etag is still good.
    mask = {"paths": ["registrar_account"]}
    after = await pools.UpdatePool(UpdatePoolRequest(pool=Pool(name=stored.name), etag=stored.etag, update_mask=mask))
    assert not after.registrar_account
    await at.member().DeleteRegistrarAccount(wish)


async def test_the_same_wish_twice_is_one_account_and_a_rehearsal_none(at: Desk) -> None:
    wish = creation(id="acme-main")
    wish.validate_only = True
    await at.member().CreateRegistrarAccount(wish)
    assert await reason_of(at.member().GetRegistrarAccount(GetRegistrarAccountRequest(name=NAME))) == (
        "REGISTRAR_ACCOUNT_NOT_FOUND"
    )
    wish.validate_only, wish.request_id = False, str(uuid4())
    assert await at.member().CreateRegistrarAccount(wish) == await at.member().CreateRegistrarAccount(wish)
    assert await reason_of(at.member().CreateRegistrarAccount(creation())) == "REGISTRAR_ACCOUNT_EXISTS"


async def test_every_bad_field_of_a_credential_is_named_and_no_value_told(on_sqlite: Desk) -> None:
    bad = {"key": "short", "secret": "", "colour": "canary-colour"}
    for call in (
        on_sqlite.member().CreateRegistrarAccount(creation(credential=bad)),
        on_sqlite.member().ValidateRegistrarAccess(question(credential=RegistrarCredential(fields=bad))),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        why = explain(refused.value)
        assert why.reason == "REQUEST_INVALID"
        assert {one.field.rpartition(".")[2] for one in why.violations} == {"key", "secret", "colour"}
        assert not any(value in str(refused.value) + str(why) for value in ("short", "canary-colour"))
    assert on_sqlite.fake.seen == []


async def test_another_organizations_account_is_as_absent_as_one_that_never_was(at: Desk) -> None:
    await at.account()
    stranger, viewer = at.member("rival"), at.member("acme", "org-viewer")
    for call in (
        stranger.GetRegistrarAccount(GetRegistrarAccountRequest(name=NAME)),
        stranger.DeleteRegistrarAccount(DeleteRegistrarAccountRequest(name=NAME, etag='"1"')),
        stranger.ValidateRegistrarAccess(question(account=NAME)),
        stranger.ReadDelegation(ReadDelegationRequest(name=NAME, domain=DOMAIN)),
    ):
        assert await reason_of(call) == "REGISTRAR_ACCOUNT_NOT_FOUND"
    assert not (await stranger.ListRegistrarAccounts(ListRegistrarAccountsRequest())).registrar_accounts
    assert await reason_of(viewer.GetRegistrarAccount(GetRegistrarAccountRequest(name=NAME))) == "CALL_DENIED"
    assert await reason_of(stranger.CreateRegistrarAccount(creation("mine", owner="organizations/acme"))) == (
        "ROLE_DENIED"
    )
    everything = await at.admin.ListRegistrarAccounts(ListRegistrarAccountsRequest())
    assert [one.name for one in everything.registrar_accounts] == [NAME]
    assert at.fake.seen == []


async def test_a_stored_secret_is_named_by_guards_only_and_read_when_it_is_used(
    home: Path, clean_nats: NatsServer
) -> None:
    folder = home / "secrets"
    folder.mkdir()
    (folder / "godaddy").write_text(json.dumps(GOOD))
    async with desk(home, clean_nats, f"sqlite+aiosqlite:///{home}/test.db", secrets_folder=folder) as at:
        wish = creation(credential={}, secret_ref="godaddy", owner="organizations/acme")
        assert await reason_of(at.member().CreateRegistrarAccount(wish)) == "ROLE_DENIED"
        made = await at.admin.CreateRegistrarAccount(wish)
        assert made.secret_ref == "godaddy"
        assert (await at.member().ValidateRegistrarAccess(question(account=NAME))).valid
        (folder / "godaddy").unlink()
        gone = await at.member().ValidateRegistrarAccess(question(account=NAME))
        assert (gone.valid, gone.reasons[0].reason) == (False, "REGISTRAR_CREDENTIALS_REJECTED")
        both = creation("both", secret_ref="godaddy", owner="organizations/acme")
        assert await reason_of(at.admin.CreateRegistrarAccount(both)) == "REQUEST_INVALID"


async def test_our_address_is_told_where_the_registrar_has_a_list_of_them(on_sqlite: Desk) -> None:
    fields = {"user": "acme", "key": "canary-key-0123", "ip": "192.0.2.99"}
    made = await on_sqlite.account(registrar="registrars/namecheap", credential=fields)
    assert made.egress_ip == "192.0.2.99"
    assert (await on_sqlite.account("other")).egress_ip == ""


async def test_an_account_of_a_registrar_that_needs_no_credential_has_none(on_sqlite: Desk) -> None:
    made = await on_sqlite.account(registrar="registrars/manual", credential={})
    assert made.registrar == "registrars/manual"
    wish = creation("with", registrar="registrars/manual")
    assert await reason_of(on_sqlite.member().CreateRegistrarAccount(wish)) == "REQUEST_INVALID"


async def test_a_credential_in_hand_is_asked_and_not_kept_in_either_form(on_sqlite: Desk) -> None:
    owner = on_sqlite.member()
    for access in ({"credential": RegistrarCredential(fields=GOOD)}, {"token": f"{KEY}:{SECRET}"}):
        assert (await owner.ValidateRegistrarAccess(question(**access))).valid
    rejected = await owner.ValidateRegistrarAccess(question(credential=RegistrarCredential(fields=WRONG)))
    assert (rejected.valid, rejected.reasons[0].user_action != "") == (False, True)
    assert await reason_of(owner.ValidateRegistrarAccess(question(token="only-one-part"))) == "REQUEST_INVALID"
    assert await events(on_sqlite) == []


async def test_a_domain_that_nobody_can_own_is_refused_before_anybody_is_asked(on_sqlite: Desk) -> None:
    for domain in ("192.0.2.1", "co.uk", "-a.example", "a.-b.example"):
        assert await reason_of(on_sqlite.member().ValidateRegistrarAccess(question(domain))) == "REQUEST_INVALID"
    assert on_sqlite.fake.seen == []


ANSWERS = (
    (FakeAnswer(401, {"code": "X", "message": "no"}), "FAILED_PRECONDITION", "REGISTRAR_CREDENTIALS_REJECTED"),
    (FakeAnswer(403, {"code": "ACCESS_DENIED"}), "FAILED_PRECONDITION", "REGISTRAR_ACCESS_NOT_ENTITLED"),
    (FakeAnswer(403, {"code": "OTHER"}), "FAILED_PRECONDITION", "REGISTRAR_PERMISSION_MISSING"),
    (FakeAnswer(404, {"code": "NOT_FOUND"}), "FAILED_PRECONDITION", "DOMAIN_NOT_IN_ACCOUNT"),
    (FakeAnswer(429, ""), "RESOURCE_EXHAUSTED", "RATE_LIMITED"),
    (FakeAnswer(500, "text"), "UNAVAILABLE", "REGISTRAR_UNAVAILABLE"),
    (FakeAnswer(200, "<html>", "text/html"), "UNAVAILABLE", "REGISTRAR_PROTOCOL_MISMATCH"),
    (FakeAnswer(204, ""), "UNAVAILABLE", "REGISTRAR_PROTOCOL_MISMATCH"),
    (FakeAnswer(200, {"nameServers": 4711}), "UNAVAILABLE", "REGISTRAR_PROTOCOL_MISMATCH"),
)
"""What a registrar answers, and what our caller is told."""


async def test_what_a_registrar_answers_is_told_in_our_reasons_and_counted(on_sqlite: Desk) -> None:
    await on_sqlite.account()
    found, registry = [], on_sqlite.daemon.daemon.metrics.registry
    for answer, _, reason in ANSWERS:
        on_sqlite.fake.refusal = answer
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await on_sqlite.member().ReadDelegation(ReadDelegationRequest(name=NAME, domain=DOMAIN))
        why = explain(refused.value)
        found.append((answer, why.code, why.reason))
        assert why.retry_after or why.code == "FAILED_PRECONDITION"
        labels = {"registrar": "godaddy", "code": reason}
        assert registry.get_sample_value("catalyst_pdm_registrar_calls_total", labels)
    assert found == list(ANSWERS)


async def test_what_stands_in_the_way_is_an_answer_with_what_to_do(on_sqlite: Desk) -> None:
    on_sqlite.fake.refusal = FakeAnswer(403, {"code": "ACCESS_DENIED", "message": "no"})
    access = await on_sqlite.member().ValidateRegistrarAccess(question())
    (finding,) = access.reasons
    assert (finding.reason, finding.provider_code) == ("REGISTRAR_ACCESS_NOT_ENTITLED", "ACCESS_DENIED")
    assert "ten domains" in finding.user_action
    on_sqlite.fake.refusal = None
    strange = await on_sqlite.member().ValidateRegistrarAccess(question("stranger.example"))
    assert (strange.valid, strange.reasons[0].reason) == (True, "DOMAIN_NOT_IN_ACCOUNT")


async def test_an_account_of_another_registrar_is_not_used(on_sqlite: Desk) -> None:
    await on_sqlite.account()
    call = on_sqlite.member().ValidateRegistrarAccess(question(registrar="ovh", account=NAME))
    assert await reason_of(call) == "REQUEST_INVALID"
    assert on_sqlite.fake.seen == []
