"""The source over an index artifact: from a registry and from a layout, by digest, with cosign's tags beside."""

import base64
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from catalyst_sdk import Permanent, RateLimited, Secret, SecretRef, Temporary
from catalyst_sdk.source import BlueprintSource, Location, Ref, folder_digest
from catalyst_source_oci.source import OciSource
from catalyst_testkit.fake_registry import FOLDER, FakeRegistry
from catalyst_testkit.source_suite import FILES, SourceSuite, listed

SIGNATURE = b'{"payload": "e30=", "signature": "c2ln"}'


class Named:
    """Secrets that are their names."""

    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(ref.name)


@dataclass
class Bench:
    """A fake registry with an index."""

    registry: FakeRegistry

    def __post_init__(self) -> None:
        self.registry.write_index()
        self.at = Location({"registry": self.registry.url})

    def source(self) -> BlueprintSource:
        return OciSource(Named())

    async def put(self, name: str, files: Mapping[str, bytes]) -> None:
        self.registry.publish(name, "1.0.0", files)

    async def remove(self, name: str) -> None:
        self.registry.index = [one for one in self.registry.index if one["name"] != f"bp-{name}"]
        self.registry.write_index()

    async def break_off(self) -> None:
        self.registry.status = 503


@dataclass
class LayoutBench(Bench):
    """The same, carried to a site without a network."""

    folder: Path

    def __post_init__(self) -> None:
        self.registry.write_index()
        self.registry.export(self.folder)
        self.at = Location({"registry": f"file://{self.folder}"})

    async def put(self, name: str, files: Mapping[str, bytes]) -> None:
        await super().put(name, files)
        self.registry.export(self.folder)

    async def remove(self, name: str) -> None:
        await super().remove(name)
        self.registry.export(self.folder)

    async def break_off(self) -> None:
        self.folder.rename(self.folder.with_name("away"))


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as made:
        yield made


@pytest.fixture
def bench(registry: FakeRegistry) -> Bench:
    return Bench(registry)


class TestRegistry(SourceSuite):
    @pytest.fixture
    def bench(self, registry: FakeRegistry) -> Bench:
        return Bench(registry)


class TestLayout(SourceSuite):
    @pytest.fixture
    def bench(self, registry: FakeRegistry, tmp_path: Path) -> Bench:
        folder = tmp_path / "layout"
        folder.mkdir()
        return LayoutBench(registry, folder)


async def test_several_versions_are_read_by_digest_and_what_is_not_ours_is_passed_over(bench: Bench) -> None:
    digest = bench.registry.publish("shop", "1.0.0", FILES)
    bench.registry.publish("shop", "1.1.0", {**FILES, "more": b"x"})
    bench.registry.index += [{"name": "nginx", "version": "1.0.0"}, {"name": "bp-shop", "version": "latest"}]
    bench.registry.write_index()
    found = await listed(bench.source(), bench.at)
    assert [(ref.path, ref.name, ref.version) for ref in found] == [
        ("shop/1.0.0", "shop", "1.0.0"), ("shop/1.1.0", "shop", "1.1.0"),
    ]  # fmt: skip
    assert found[0].digest == digest


async def test_bytes_that_are_not_those_of_the_digest_are_refused(bench: Bench) -> None:
    bench.registry.publish("shop", "1.0.0", FILES)
    (ref,) = await listed(bench.source(), bench.at)
    kept = dict(bench.registry.blobs)
    for digest in kept:
        bench.registry.blobs[digest] = b"something else"
    with pytest.raises(Permanent) as refused:
        await bench.source().fetch(at=bench.at, ref=ref)
    assert refused.value.reason == "UNREADABLE"
    bench.registry.blobs.update(kept)
    bench.registry.manifests["bp-shop", ref.digest] = b"{}"
    with pytest.raises(Permanent, match="other bytes"):
        await bench.source().fetch(at=bench.at, ref=ref)


async def test_signatures_and_attestations_are_found_where_cosign_puts_them(bench: Bench) -> None:
    digest = bench.registry.publish("shop", "1.0.0", FILES)
    keyless = SIGNATURE[:-1] + b', "certificate": "PEM", "chain": "PEMs", "bundle": "{}"}'
    bundle = b'{"mediaType": "x", "verificationMaterial": {}}'
    bench.registry.sign("shop", digest, [bundle, SIGNATURE, keyless], [b'{"payload": ""}'])
    (ref,) = await listed(bench.source(), bench.at)
    artifact = await bench.source().fetch(at=bench.at, ref=ref)
    assert (artifact.signatures, artifact.attestations) == (
        (bundle, SIGNATURE, keyless), (b'{"payload": ""}',)
    )  # fmt: skip


def stated(kind: str) -> bytes:
    payload = base64.b64encode(json.dumps({"predicateType": kind}).encode()).decode()
    return json.dumps({"verificationMaterial": {}, "dsseEnvelope": {"payload": payload}}).encode()


@pytest.mark.parametrize("where", ["listed", "tagged", "in a layout"])
async def test_bundles_are_found_that_were_attached_as_referrers(bench: Bench, where: str, tmp_path: Path) -> None:
    digest = bench.registry.publish("shop", "1.0.0", FILES)
    signed, sbom, broken = stated("https://sigstore.dev/cosign/sign/v1"), stated("https://spdx.dev/Document"), b"{"
    plain = b'{"messageSignature": {}}'
    bench.registry.attach("shop", digest, signed, sbom, plain, broken)
    bench.registry.sign("shop", digest, [SIGNATURE])
    bench.registry.knows_referrers = where == "listed"
    at = bench.at
    if where == "in a layout":
        bench.registry.export(tmp_path)
        at = Location({"registry": f"file://{tmp_path}"})
    (ref,) = await listed(bench.source(), at)
    artifact = await bench.source().fetch(at=at, ref=ref)
    assert (artifact.signatures, artifact.attestations) == ((SIGNATURE, signed, plain, broken), (sbom,))


async def test_a_token_is_asked_for_with_the_credential_and_shown(bench: Bench) -> None:
    bench.registry.publish("shop", "1.0.0", FILES)
    bench.registry.credential = "puller:pass"
    with pytest.raises(Permanent) as refused:
        await bench.source().probe(at=bench.at)
    assert refused.value.reason == "AUTH"
    known = Location(bench.at.config, SecretRef("puller:pass"))
    (ref,) = await listed(bench.source(), known)
    assert (await bench.source().fetch(at=known, ref=ref)).files == FILES
    assert not any("pass" in line for line in bench.registry.asked)


@pytest.mark.parametrize(("status", "failure"), [(429, RateLimited), (500, Temporary), (403, Permanent)])
async def test_what_a_registry_says_is_one_of_the_four_failures(
    bench: Bench, status: int, failure: type[Exception]
) -> None:
    bench.registry.status = status
    with pytest.raises(failure):
        await bench.source().probe(at=bench.at)


def packed(name: str, *, link: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        tar.addfile(member, io.BytesIO())
    return made.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (packed("../../etc/passwd"), "PATH_ESCAPES"),
        (packed("/etc/passwd"), "PATH_ESCAPES"),
        (packed("blueprint.yaml", link="/etc/passwd"), "PATH_ESCAPES"),
        (b"no archive", "UNREADABLE"),
    ],
    ids=["above", "absolute", "link", "none"],  # the packed bytes tell the second in which they were packed
)
async def test_an_archive_that_leads_outside_is_refused(bench: Bench, content: bytes, reason: str) -> None:
    digest = bench.registry.put("bp-evil", "1.0.0", [(FOLDER, content, {})])
    with pytest.raises(Permanent) as refused:
        await bench.source().fetch(at=bench.at, ref=Ref("evil/1.0.0", digest, "1.0.0", "evil"))
    assert refused.value.reason == reason


async def test_what_was_carried_here_keeps_the_digest_of_its_folder_and_the_signatures_of_it(bench: Bench) -> None:
    folder = folder_digest({path: (content, False) for path, content in FILES.items()})
    bench.registry.publish("shop", "1.0.0", FILES)
    bench.registry.index[0]["folder"] = folder
    bench.registry.write_index()
    bench.registry.sign("shop", folder, [SIGNATURE])
    (ref,) = await listed(bench.source(), bench.at)
    artifact = await bench.source().fetch(at=bench.at, ref=ref)
    assert (ref.digest, artifact.digest, artifact.manifest, artifact.signatures) == (folder, folder, b"", (SIGNATURE,))
    bench.registry.publish("shop", "1.0.0", {**FILES, "more": b"x"})  # the tag moves, the digest was asked for
    with pytest.raises(Permanent, match="other bytes"):
        await bench.source().fetch(at=bench.at, ref=ref)
