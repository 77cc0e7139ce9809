"""Secrets go in by their plugin's schema, are checked, and come out nowhere."""

from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_testkit import eventually
from catalyst_testkit.daemons import reason_of
from catalyst_testkit.dumps import dump
from google.longrunning import operations_pb2
from google.longrunning.operations_grpc_pb2 import OperationsStub

from .conftest import Bench, spec
from .test_refusals import wrong_fields

pytestmark = pytest.mark.either_database

CREDENTIAL = "credentials/acme-sandbox"
CANARY = "4c4n4ry4c4n4ry4c4n4ry"
GOOD = {"token": f"sbt_acme_{CANARY}"}
READS = {"token": f"sbr_acme_{CANARY}"}


def wish(values: dict[str, str], name: str = CREDENTIAL, **fields: Any) -> Any:
    credential = pb.Credential(name=name, kind="cloud_provider", provider="sandbox", organization="omantel")
    return rpc.CreateCredentialRequest(credential=credential, values=values, **fields)


async def checked(service: Any, newest: int = 1) -> Any:
    async def check() -> Any:
        found = await service.GetCredential(rpc.GetCredentialRequest(name=CREDENTIAL))
        return found if found.last_check.credential_version == newest else None

    return await eventually(check, within=60)


async def test_a_credential_is_judged_checked_turned_and_kept_while_it_is_used(bench: Bench, database: str) -> None:
    service: Any = bench.daemon.admin(stubs.CredentialServiceStub)
    offers: Any = bench.daemon.admin(stubs.OfferServiceStub)
    clouds = {c.name: c for c in (await offers.ListProviders(rpc.ListProvidersRequest())).providers}
    for name in ("providers/sandbox", "providers/hetzner"):
        assert list(clouds[name].credential_schema["properties"]) == ["token"], (
            "what it asks for is told before there is one"
        )
        assert len(clouds[name].load_balancer_types) == {"providers/sandbox": 1, "providers/hetzner": 3}[name]
        assert clouds[name].plugin.name == f"plugins/cloud_provider:{name.removeprefix('providers/')}"
    at = rpc.ListOffersRequest(parent="providers/hetzner/regions/fsn1", page_size=1000)
    priced = [o for o in (await offers.ListOffers(at)).offers if o.HasField("price")]
    assert {offer.source for offer in priced} == {"table"}, "nobody has a credential for it"
    assert await wrong_fields(service.CreateCredential(wish({"token": f"wrong {CANARY}", "more": "x"}))) == {
        "values.token", "values.more"
    }  # fmt: skip
    assert await reason_of(service.GetCredential(rpc.GetCredentialRequest(name=CREDENTIAL))) == "CREDENTIAL_NOT_FOUND"
    made = await service.CreateCredential(wish(READS))
    assert [v.number for v in made.versions] == [1]
    assert "properties" in made.schema
    assert await reason_of(service.CreateCredential(wish(GOOD))) == "NAME_TAKEN"
    said = (await checked(service)).last_check
    assert (said.state, list(said.missing)) == (pb.CredentialCheck.STATE_READ_ONLY, ["write"])

    cluster = {**spec()["clusters"][0], "credential": {"name": CREDENTIAL}}
    await bench.create(clusters=[cluster])
    plan = await bench.plan()
    assert [(f.code, f.field) for f in plan.findings] == [("auth.read_only", "spec.clusters[0].credential")]
    assert not bench.cloud(), "nothing was made to find that out"

    stale = rpc.AddCredentialVersionRequest(name=CREDENTIAL, values=GOOD, etag=made.etag)
    assert await reason_of(service.AddCredentialVersion(stale)) == "ETAG_MISMATCH"
    turned = await service.AddCredentialVersion(rpc.AddCredentialVersionRequest(name=CREDENTIAL, values=GOOD))
    assert [v.number for v in turned.versions] == [2, 1]
    assert (await checked(service, 2)).last_check.state == pb.CredentialCheck.STATE_VALID
    operation = await service.CheckCredential(rpc.CheckCredentialRequest(name=CREDENTIAL))
    operations: Any = bench.daemon.admin(OperationsStub)
    wait = operations_pb2.WaitOperationRequest(name=operation.name)
    wait.timeout.FromSeconds(60)
    shown = pb.Credential()
    ended = await operations.WaitOperation(wait, timeout=120)
    assert ended.response.Unpack(shown)
    assert shown.last_check.credential_version == 2
    assert (await bench.plan()).applicable

    held = (await service.ListCredentials(rpc.ListCredentialsRequest())).credentials
    assert [c.name for c in held] == [CREDENTIAL, "credentials/sandbox-simulated"]
    assert list(held[0].users) == ["sovereigns/omantel"]
    gone = rpc.DeleteCredentialRequest(name=CREDENTIAL, etag=held[0].etag)
    assert await reason_of(service.DeleteCredential(gone)) == "CREDENTIAL_IN_USE"
    draft = await bench.get()
    await bench.sovereigns.DeleteSovereign(rpc.DeleteSovereignRequest(name=draft.name, etag=draft.etag))
    await service.DeleteCredential(gone)
    assert await reason_of(service.DeleteCredential(gone)) == "CREDENTIAL_NOT_FOUND"
    held_by_us = await dump(database)
    assert CREDENTIAL.encode() in held_by_us or b"acme-sandbox" in held_by_us
    assert CANARY.encode() not in held_by_us


async def test_only_administrators_give_credentials_and_a_dry_run_keeps_none(bench: Bench) -> None:
    service: Any = bench.daemon.admin(stubs.CredentialServiceStub)
    member: Any = bench.daemon.member(stubs.CredentialServiceStub, "omantel")
    assert await reason_of(member.CreateCredential(wish(GOOD))) == "CALL_DENIED"
    assert (await service.CreateCredential(wish(GOOD, validate_only=True))).name == CREDENTIAL
    assert await reason_of(service.GetCredential(rpc.GetCredentialRequest(name=CREDENTIAL))) == "CREDENTIAL_NOT_FOUND"
    for values in ({"x": "y"}, {"private_key": "rubbish"}):
        other = rpc.CreateCredentialRequest(
            credential=pb.Credential(name=CREDENTIAL, kind="signing_key"), values=values
        )
        assert await reason_of(service.CreateCredential(other)) == "CREDENTIAL_INVALID"
