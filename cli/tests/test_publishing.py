"""Blueprints from an author's folders in a registry: `catalyst blueprint publish` and `catalyst catalog push`.

The registry is our fake of one; where `REGISTRY_URL` names a real one, it is that (the Distribution of Debian, 2.8.2, was tried).
"""

import base64
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from catalyst_catalog.domain.trust import Attestation, Policy, Requirement, Signature
from catalyst_catalog.workers.signatures import judge
from catalyst_cli.failures import Failure
from catalyst_cli.layouts import Layout
from catalyst_cli.publishing import Folder, Publisher
from catalyst_cli.tree import build
from catalyst_mesh.plugins import NoSecrets
from catalyst_sdk.source import Artifact, Location
from catalyst_source_oci.source import OciSource
from catalyst_testkit.fake_registry import FakeRegistry
from click.testing import Result
from cryptography.hazmat.primitives import serialization
from typer.testing import CliRunner

from services.catalog.tests.makers import needs, write
from services.catalog.tests.signing import Signer


@dataclass
class Press:
    """An author's folders, a key, and a registry."""

    home: Path
    url: str
    fake: FakeRegistry | None
    under: str
    signer: Signer

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(build(words[0]), [*words, "--to", self.url, "--under", self.under, "-o", "json"])

    def publish(self, *paths: Path, **options: str) -> list[dict[str, str]]:
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        result = self.run("blueprint", "publish", *map(str, paths), "--key", str(self.home / "key.pem"), *words)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        rows: list[dict[str, str]] = json.loads(result.stdout)["versions"]
        assert (result.exit_code == 1) == any(row["now"] == "failed" for row in rows)
        return rows

    async def read(self) -> dict[str, Artifact]:
        """Everything that the catalogue's own reader finds, by path."""
        at = Location({"registry": self.url, "repository": f"{self.under}/blueprint-index"})
        source = OciSource(NoSecrets())
        return {ref.path: await source.fetch(at=at, ref=ref) for ref in (await source.list(at=at)).refs}


@pytest.fixture
def press(tmp_path: Path) -> Iterator[Press]:
    signer = Signer()
    key = signer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(key)
    under = f"acme/{uuid4().hex}"
    if real := os.environ.get("REGISTRY_URL"):
        yield Press(tmp_path, real, None, under, signer)
        return
    with FakeRegistry() as fake:
        yield Press(tmp_path, fake.url, fake, under, signer)


async def test_what_is_published_is_read_by_the_catalogue_s_source_and_trusted_by_its_policy(press: Press) -> None:
    folders = press.home / "blueprints"
    write(folders, "bp-db", visibility="listed")
    write(folders, "bp-shop", visibility="listed", depends=needs(db="^1"))
    (folders / "broken").mkdir()
    (folders / "broken" / "blueprint.yaml").write_text("kind: Blueprint")
    rows = press.publish(folders)
    assert [(row["name"], row["now"]) for row in rows] == [
        ("broken", "failed"),
        ("bp-db", "pushed"),
        ("bp-shop", "pushed"),
    ]  # fmt: skip - reads as a table
    found = await press.read()
    assert list(found) == ["db/1.0.0", "shop/1.0.0"]
    policy = Policy(Requirement.REQUIRED, Requirement.REQUIRED, (press.signer.pem,))
    for row, artifact in zip(rows[1:], found.values(), strict=True):
        assert artifact.digest == row["digest"]
        assert artifact.files["blueprint.yaml"] == (folders / row["name"][3:] / "blueprint.yaml").read_bytes()
        verdict = judge(policy, artifact.digest, artifact.signatures, artifact.attestations)
        assert (verdict.signature, verdict.sbom) == (Signature.VERIFIED, Attestation.PRESENT)
        theirs = replace(policy, keys=(Signer().pem,))
        stranger = judge(theirs, artifact.digest, artifact.signatures, artifact.attestations)
        assert stranger.signature is Signature.INVALID
    statement = json.loads(base64.b64decode(json.loads(found["shop/1.0.0"].attestations[0])["payload"]))
    assert [one["fileName"] for one in statement["predicate"]["files"]] == [
        f"./{name}" for name in sorted(found["shop/1.0.0"].files)
    ]


async def test_a_version_stays_what_it_is_and_others_come_beside_it(press: Press) -> None:
    folders = press.home / "blueprints"
    write(folders, "bp-db")
    first = press.publish(folders / "db")
    assert [row["now"] for row in press.publish(folders / "db")] == ["was there"]
    (folders / "db" / "NOTES").write_text("more")
    (refused,) = press.publish(folders / "db")
    assert (refused["now"], "never replaced" in refused["why"]) == ("failed", True)
    shutil.rmtree(folders / "db")
    write(folders, "bp-db", version="1.1.0")
    press.publish(folders / "db")
    found = await press.read()
    assert list(found) == ["db/1.0.0", "db/1.1.0"]
    assert found["db/1.0.0"].digest == first[0]["digest"]


async def test_what_was_mirrored_is_pushed_with_its_signatures_and_again_without_a_change(press: Press) -> None:
    write(press.home / "blueprints", "bp-db")
    folder = Folder.read(press.home / "blueprints" / "db")
    bundle = Publisher(press.signer.key).bundle(folder, "x", datetime.now(UTC))
    layout = Layout.at(press.home / "layout")
    layout.add(bundle)
    layout.save()
    for now in ("pushed", "was there"):
        result = press.run("catalog", "push", str(press.home / "layout"))
        assert [row["now"] for row in json.loads(result.stdout)["versions"]] == [now]
    (found,) = (await press.read()).values()
    assert found.digest == bundle.digest
    assert list(map(json.loads, found.signatures)) == list(map(json.loads, bundle.signatures))


def test_a_login_is_shown_where_it_is_asked_for_and_trouble_is_said(press: Press) -> None:
    if press.fake is None:
        pytest.skip("a fake alone can be told to refuse")
    write(press.home / "blueprints", "bp-db")
    press.fake.credential = "robot:secret"
    with pytest.raises(Failure, match="the registry lets nobody"):
        press.publish(press.home / "blueprints")
    (press.home / "login").write_text("robot:secret\n")
    assert [row["now"] for row in press.publish(press.home / "blueprints", login=str(press.home / "login"))] == [
        "pushed"
    ]
    assert not any("secret" in line for line in press.fake.asked)
    press.fake.status = 503
    with pytest.raises(Failure, match="answers 503"):
        press.publish(press.home / "blueprints", login=str(press.home / "login"))
    with pytest.raises(Failure, match="no private key"):
        CliRunner().invoke(
            build("blueprint"),
            ["blueprint", "publish", ".", "--to", press.url, "--key", str(press.home / "login")],
            catch_exceptions=False,
        )
