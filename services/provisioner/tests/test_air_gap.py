"""A Sovereign that has nothing from outside: made with mirrors, and its tree names nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst.provisioner.v1 import service_pb2_grpc as stubs
from catalyst_agent import handover
from catalyst_provisioner.repository import Repositories
from catalyst_testkit.daemons import reason_of

from .conftest import Bench, spec
from .test_agents import Desk

pytestmark = pytest.mark.either_database
AUTHORITY = "-----BEGIN CERTIFICATE-----\nbWlycm9y\n-----END CERTIFICATE-----\n"
MIRRORS = [
    {"source": "registry.catalyst.invalid", "endpoint": "oci://mirror.acme.example/all"},
    {"source": "docker.io", "endpoint": "https://mirror.acme.example"},
]


def gapped(*found: dict[str, Any]) -> dict[str, Any]:
    (first,) = spec()["clusters"]
    return {"clusters": [first, {**first, "region": "west", "hosts": ["mgt"]}], "air_gap": {"mirrors": list(found)}}


LOCKED = [{**one, "credential": {"name": "credentials/mirror"}, "ca_bundle": AUTHORITY} for one in MIRRORS]
LOGIN = {"username": "robot", "password": "canary-of-the-mirror"}


async def keep_login(bench: Bench) -> None:
    made = pb.Credential(name="credentials/mirror", kind="registry")
    await bench.daemon.admin(stubs.CredentialServiceStub).CreateCredential(
        rpc.CreateCredentialRequest(credential=made, values=LOGIN)
    )


async def test_a_server_learns_the_logins_of_its_mirrors_when_it_enrols(bench: Bench, tmp_path: Path) -> None:
    desk = Desk(bench)
    await desk.open(**gapped(*LOCKED))
    findings = {f.field: f.code for f in (await bench.plan()).findings}
    assert findings["spec.air_gap.mirrors[0].credential"] == "auth.rejected"
    assert await reason_of(desk.enrol()) == "MIRROR_LOGIN_MISSING"
    await keep_login(bench)
    assert "spec.air_gap.mirrors[0].credential" not in {f.field for f in (await bench.plan()).findings}
    written = handover.written(await desk.enrol(), str(tmp_path))
    told = json.loads(written["registries.yaml"])
    assert told["mirrors"]["docker.io"]["endpoint"] == ["https://mirror.acme.example"]
    assert told["configs"]["mirror.acme.example"] == {"auth": LOGIN, "tls": {"ca_file": f"{tmp_path}/mirrors/0.pem"}}
    assert written["mirrors/0.pem"] == AUTHORITY
    secrets = {one["metadata"]["name"]: one for one in json.loads(written["manifests/pull-secret.yaml"])["items"]}
    assert json.loads(secrets["registry"]["stringData"][".dockerconfigjson"])["auths"] == {"mirror.acme.example": LOGIN}
    assert secrets["registry-ca"]["stringData"]["ca.crt"] == AUTHORITY
    credentials: Any = bench.daemon.admin(stubs.CredentialServiceStub)
    held = await credentials.GetCredential(rpc.GetCredentialRequest(name="credentials/mirror"))
    gone = rpc.DeleteCredentialRequest(name=held.name, etag=held.etag)
    assert await reason_of(credentials.DeleteCredential(gone)) == "CREDENTIAL_IN_USE"


async def test_a_credential_of_another_kind_is_handed_to_no_server(bench: Bench) -> None:
    desk = Desk(bench)
    await desk.open(**gapped({**MIRRORS[0], "credential": {"name": "credentials/sandbox-simulated"}}))
    findings = {f.field: f.code for f in (await bench.plan()).findings}
    assert findings["spec.air_gap.mirrors[0].credential"] == "auth.rejected"
    assert await reason_of(desk.enrol()) == "MIRROR_LOGIN_MISSING"


async def test_layouts_with_an_air_gap_are_listed_after_the_others(bench: Bench) -> None:
    offers: Any = bench.daemon.admin(stubs.OfferServiceStub)
    listed = list((await offers.ListTopologies(rpc.ListTopologiesRequest())).topologies)
    names = [one.name for one in listed if not one.air_gap]
    assert [one.name for one in listed] == [*names, *(f"{name}+air-gap" for name in names)]
    plain, gap = (next(one for one in listed if one.name == f"topologies/solo{more}") for more in ("", "+air-gap"))
    assert (gap.clusters, gap.vclusters, len(gap.regions)) == (
        plain.clusters + 1,
        plain.vclusters + 1,
        len(plain.regions) + 1,
    )
    assert (gap.recommended, gap.default) == (False, False)


async def test_what_an_air_gapped_sovereign_pulls_lies_on_its_mirrors(bench: Bench) -> None:
    await keep_login(bench)
    await bench.create(**gapped(*LOCKED))
    ended = await bench.ended(await bench.apply(await bench.plan()))
    assert ended.state == pb.Run.STATE_SUCCEEDED, ended.error
    files = Repositories(bench.home / "trees").files("omantel")
    named = {found for content in files.values() for found in re.findall(rb"(?:https?|oci)://([^/\"\\]+)", content)}
    assert named == {b"mirror.acme.example"}
    assert not [path for path, content in files.items() if b"canary-of-the-mirror" in content]
    assert all(b'"registry-ca"' in content for path, content in files.items() if "/sources/" in path)
    assert len([path for path in files if path.endswith("config/registries.yaml")]) == 2
