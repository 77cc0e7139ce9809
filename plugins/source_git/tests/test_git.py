"""The Git source over real repositories: shallow, without anything of theirs running, one version for each tag."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from catalyst_sdk import Permanent, Secret, SecretRef
from catalyst_sdk.source import BlueprintSource, Location, Ref, folder_digest
from catalyst_source_git.repository import Repository
from catalyst_source_git.source import GitSource
from catalyst_testkit.source_suite import FILES, SourceSuite, listed

WHO = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b.example",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b.example",
}


class NoSecrets:
    async def resolve(self, ref: SecretRef) -> Secret:
        return Secret(ref.name)


@dataclass
class Bench:
    """A repository in a folder, which commits what it is told."""

    home: Path
    config: Mapping[str, object] = field(default_factory=dict)
    replicas: int = 0

    def __post_init__(self) -> None:
        self.work = self.home / "work"
        self.git("init", "-q", "-b", "main", str(self.work), at=self.home)
        self.commit("first")

    @property
    def at(self) -> Location:
        return Location({"url": f"file://{self.work}", **self.config})

    def source(self) -> BlueprintSource:
        self.replicas += 1
        return GitSource(self.home / f"replica{self.replicas}", NoSecrets())

    def git(self, *words: str, at: Path | None = None) -> None:
        env = {**WHO, "PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(self.home)}
        subprocess.run(["git", *words], cwd=at or self.work, env=env, check=True, capture_output=True)

    def commit(self, text: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", text)

    def write(self, path: str, content: bytes) -> Path:
        file = self.work / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    async def put(self, name: str, files: Mapping[str, bytes]) -> None:
        for path, content in files.items():
            self.write(f"{name}/{path}", content)
        self.commit(name)

    async def remove(self, name: str) -> None:
        self.git("rm", "-r", "-q", name)
        self.commit("remove")

    async def break_off(self) -> None:
        self.work.rename(self.home / "away")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


class TestGit(SourceSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        return Bench(tmp_path)


async def test_the_digest_is_that_of_the_same_folder_on_a_disk(bench: Bench) -> None:
    await bench.put("shop", FILES)
    (ref,) = await listed(bench.source(), bench.at)
    assert ref.digest == folder_digest({path: (content, False) for path, content in FILES.items()})
    bench.write("other/file", b"x")
    bench.commit("beside it")
    assert ref in await listed(bench.source(), bench.at), "a commit beside a Blueprint is no change of it"


async def test_each_tag_with_a_name_and_a_version_is_a_version(bench: Bench) -> None:
    bench.config = {"tags": True}
    await bench.put("shop", FILES)
    bench.git("tag", "shop/v1.0.0")
    await bench.put("shop", {**FILES, "more": b"x"})
    for tag in ("shop/v1.1.0", "v3.0.0", "shop/latest", "mail/v1.0.0"):
        bench.git("tag", tag)
    source = bench.source()
    found = {ref.path: ref for ref in await listed(source, bench.at)}
    assert list(found) == ["mail/v1.0.0", "shop/v1.0.0", "shop/v1.1.0"]
    assert (found["shop/v1.0.0"].name, found["shop/v1.0.0"].version) == ("shop", "1.0.0")
    old, new = [await source.fetch(at=bench.at, ref=found[f"shop/v1.{n}.0"]) for n in (0, 1)]
    assert (dict(old.files), new.files["more"]) == (FILES, b"x")
    with pytest.raises(Permanent, match="mail/v1"):
        await source.fetch(at=bench.at, ref=found["mail/v1.0.0"])


async def test_signatures_lie_beside_and_are_no_part_of_what_they_are_about(bench: Bench) -> None:
    await bench.put("shop", FILES)
    source = bench.source()
    (before,) = await listed(source, bench.at)
    await bench.put("shop", {".signatures/one": b"{}", ".attestations/sbom": b"[]"})
    (ref,) = await listed(source, bench.at)
    artifact = await source.fetch(at=bench.at, ref=ref)
    assert (artifact.signatures, artifact.attestations) == ((b"{}",), (b"[]",))
    assert ref.digest == before.digest == artifact.digest


async def test_nothing_of_a_repository_runs_and_nothing_older_is_fetched(bench: Bench) -> None:
    await bench.put("shop", FILES)
    mark = bench.home / "ran"
    for hook in ("post-checkout", "post-merge", "reference-transaction"):
        file = bench.work / ".git" / "hooks" / hook
        file.write_text(f"#!/bin/sh\ntouch {mark}\n")
        file.chmod(0o755)
    bench.write(".gitattributes", b"* filter=evil\n")
    bench.commit("attributes")
    mark.unlink(missing_ok=True)  # a commit here runs the hooks of here
    source = bench.source()
    await listed(source, bench.at)
    copies = [path for path in (bench.home / "replica1").iterdir() if path.is_dir()]
    assert len(copies) == 1
    assert (copies[0] / "shallow").read_text().count("\n") == 1
    assert not mark.exists()


async def test_a_link_is_refused_and_the_others_are_read(bench: Bench) -> None:
    await bench.put("good", FILES)
    bench.write("evil/blueprint.yaml", b"x")
    (bench.work / "evil" / "link").symlink_to("/etc/passwd")
    bench.commit("evil")
    found = {ref.path: ref.digest for ref in await listed(bench.source(), bench.at)}
    assert found["good"]
    assert found["evil"] == ""
    source = bench.source()
    await listed(source, bench.at)
    with pytest.raises(Permanent) as refused:
        await source.fetch(at=bench.at, ref=Ref("evil"))
    assert refused.value.reason == "PATH_ESCAPES"


def test_a_credential_stands_on_no_command_line(tmp_path: Path) -> None:
    repository = Repository(tmp_path, "https://git.example/x", Secret("s3cret"))
    environment = repository._environment()
    assert "s3cret" not in str(environment)
    assert environment["GIT_CONFIG_KEY_0"] == "http.https://git.example/x.extraHeader"
    assert environment["GIT_CONFIG_VALUE_0"].startswith("Authorization: Basic ")


async def test_a_branch_that_is_not_there_is_not_found(bench: Bench) -> None:
    bench.config = {"branch": "nothing"}
    for ask in (bench.source().probe(at=bench.at), bench.source().list(at=bench.at)):
        with pytest.raises(Permanent) as refused:
            await ask
        assert refused.value.reason == "NOT_FOUND"
