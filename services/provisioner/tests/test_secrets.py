"""Nothing secret is written in the clear; the example of the documentation has nothing against it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from catalyst.provisioner.v1 import resources_pb2 as pb
from catalyst.provisioner.v1 import service_pb2 as rpc
from catalyst_provisioner.repository import Repositories
from catalyst_provisioner.vault import Vault
from catalyst_sdk import SecretRef
from catalyst_testkit.dumps import dump
from google.protobuf.json_format import ParseDict

from .conftest import NAME, Bench

pytestmark = pytest.mark.either_database

EXAMPLE = Path(__file__).parents[3] / "examples" / "01-first-sovereign" / "sovereign.yaml"


async def test_no_token_lies_in_the_database_the_tree_or_an_event(
    bench: Bench, database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    await bench.create()
    run = await bench.apply(await bench.plan())
    assert (await bench.ended(run)).state == pb.Run.STATE_SUCCEEDED
    work = bench.daemon.daemon.work
    vault = Vault(work, work.sealer)
    credential = (await vault.resolve(SecretRef("credentials/sandbox-simulated"))).reveal()
    login = _identity(bench.home / "sandbox")
    secrets = {"reservation": "rsv_1", "credential": credential, **login}
    # What Git keeps is compressed: the files are read as a cluster reads them, and what lies beside the objects as it is.
    files = {str(p): p.read_bytes() for p in (bench.home / "trees").rglob("*") if p.is_file()}
    files |= Repositories(bench.home / "trees").files("omantel")
    files["the database"] = await dump(database)
    files["what the daemon says"] = "".join(capfd.readouterr()).encode()
    for place in ("the database", "clusters/omantel.omani.works/sovereign.yaml"):
        assert NAME.encode() in files[place], "a dump without what is known to be there proves nothing"
    for name, secret in secrets.items():
        assert len(secret) > 4, name
        assert not [place for place, held in files.items() if secret.encode() in held], name
        assert not [e.code for e in await bench.events(run) if secret in str(e)], name


def _identity(sandbox: Path) -> dict[str, Any]:
    """What the simulated server was given."""
    import json

    kept = json.loads(next(sandbox.rglob("identity.json")).read_text())
    told = json.loads(json.loads(next(sandbox.rglob("server.json")).read_text())["user_data"])
    return {"agent": kept["agent_token"], "git": kept["tree"]["password"], "enrolment": told["token"]}


async def test_the_example_has_nothing_against_it(bench: Bench) -> None:
    document = yaml.safe_load(EXAMPLE.read_text())
    name = document.pop("name")
    made = pb.Sovereign(name=name, spec=ParseDict(document, pb.SovereignSpec()))
    await bench.sovereigns.CreateSovereign(rpc.CreateSovereignRequest(sovereign=made))
    plan = await bench.plan()
    assert plan.applicable
    assert not plan.findings
    assert plan.cost.after.total.month.minor > 0
