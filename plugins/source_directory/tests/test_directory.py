"""The folder source: contained, bounded, and with digests that name the bytes."""

import asyncio
import os
from pathlib import Path

import pytest
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.source import Location, Ref
from catalyst_source_directory import folders
from catalyst_source_directory.source import DirectorySource


def put(root: Path, name: str, content: str = "kind: Blueprint\n", file: str = "blueprint.yaml") -> Path:
    path = root / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def at(root: Path) -> Location:
    return Location({"folder": str(root)})


async def refs(root: Path) -> dict[str, str]:
    return {ref.path: ref.digest for ref in (await DirectorySource().list(at=at(root))).refs}


async def test_every_folder_is_listed_by_name_and_dot_folders_are_not(tmp_path: Path) -> None:
    for name in ("valkey", "cilium", ".git"):
        put(tmp_path, name)
    (tmp_path / "families.yaml").write_text("")
    assert list(await refs(tmp_path)) == ["cilium", "valkey"]


async def test_the_artifact_has_the_digest_that_was_listed(tmp_path: Path) -> None:
    put(tmp_path, "cilium")
    put(tmp_path, "cilium", "text", "README.md")
    digest = (await refs(tmp_path))["cilium"]
    artifact = await DirectorySource().fetch(at=at(tmp_path), ref=Ref("cilium", digest))
    assert artifact.digest == digest
    assert artifact.files == {"README.md": b"text", "blueprint.yaml": b"kind: Blueprint\n"}


async def test_a_byte_a_name_or_the_executable_bit_changes_the_digest_and_a_umask_does_not(tmp_path: Path) -> None:
    path = put(tmp_path, "cilium")
    seen = [(await refs(tmp_path))["cilium"]]
    path.chmod(0o664)
    assert (await refs(tmp_path))["cilium"] == seen[0]
    path.chmod(0o755)
    seen.append((await refs(tmp_path))["cilium"])
    path.write_text("kind: blueprint\n")
    seen.append((await refs(tmp_path))["cilium"])
    path.rename(path.with_name("blueprint.yml"))
    seen.append((await refs(tmp_path))["cilium"])
    assert len(set(seen)) == 4


def test_two_files_never_look_like_one_with_a_line_break_in_its_name() -> None:
    one, two = folders.File(b"1", is_executable=False), folders.File(b"2", is_executable=False)
    forged = {f"a - {'0' * 64}\n1 b": one}
    assert folders.digest(forged) != folders.digest({"a": one, "b": two})


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.yaml", "/etc"])
async def test_a_link_that_leaves_the_folder_is_refused_and_the_others_are_read(tmp_path: Path, target: str) -> None:
    root = tmp_path / "root"
    put(root, "good")
    put(root, "evil")
    (tmp_path / "outside.yaml").write_text("secret")
    (root / "evil" / "link").symlink_to(target if target.startswith("/") else root.parent / "outside.yaml")
    listed = await refs(root)
    assert listed["good"]
    assert listed["evil"] == ""
    with pytest.raises(Permanent) as refused:
        await DirectorySource().fetch(at=at(root), ref=Ref("evil"))
    assert refused.value.reason == "PATH_ESCAPES"


@pytest.mark.parametrize("path", ["..", "../etc", "/etc", "."])
async def test_a_ref_cannot_name_a_folder_outside(tmp_path: Path, path: str) -> None:
    put(tmp_path, "good")
    with pytest.raises(Permanent, match="leads out"):
        await DirectorySource().fetch(at=at(tmp_path), ref=Ref(path))


async def test_a_folder_that_is_too_large_is_refused_alone(tmp_path: Path) -> None:
    put(tmp_path, "good")
    with put(tmp_path, "huge").open("wb") as file:
        os.truncate(file.fileno(), folders.LARGEST + 1)
    assert (await refs(tmp_path))["good"]
    with pytest.raises(Permanent) as refused:
        await DirectorySource().fetch(at=at(tmp_path), ref=Ref("huge"))
    assert refused.value.reason == "TOO_LARGE"


async def test_an_absent_folder_may_come_back_and_a_wrong_setting_may_not(tmp_path: Path) -> None:
    with pytest.raises(Temporary):
        await DirectorySource().probe(at=at(tmp_path / "absent"))
    for config in ({}, {"folder": "relative"}, {"folder": 3}):
        with pytest.raises(Permanent) as refused:
            await DirectorySource().probe(at=Location(config))
        assert refused.value.reason == "CONFIG"


async def test_a_vanished_item_is_not_found(tmp_path: Path) -> None:
    put(tmp_path, "good")
    with pytest.raises(Permanent) as refused:
        await DirectorySource().fetch(at=at(tmp_path), ref=Ref("gone"))
    assert refused.value.reason == "NOT_FOUND"


async def test_1200_folders_come_in_pages_without_gap_or_repeat(tmp_path: Path) -> None:
    for n in range(1200):
        (tmp_path / f"bp{n:04}").mkdir()
    source, cursor, seen = DirectorySource(), "", []
    while True:
        page = await source.list(at=at(tmp_path), cursor=cursor)
        seen += [ref.path for ref in page.refs]
        if not (cursor := page.next_cursor):
            break
    assert seen == [f"bp{n:04}" for n in range(1200)]


async def test_reading_does_not_hold_the_loop(tmp_path: Path) -> None:
    for n in range(200):
        put(tmp_path, f"bp{n}")
    turns = 0
    listing = asyncio.create_task(DirectorySource().list(at=at(tmp_path)))
    while not listing.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 5


async def test_what_is_said_about_a_folder_is_read_beside_its_digest(tmp_path: Path) -> None:
    put(tmp_path, "cilium")
    before = (await refs(tmp_path))["cilium"]
    for file, content in (("b.sig", "second"), ("a.sig", "first"), ("sbom.att", "bill"), ("README", "no more")):
        put(tmp_path, "cilium", content, f".signatures/{file}")
    artifact = await DirectorySource().fetch(at=at(tmp_path), ref=Ref("cilium"))
    assert (artifact.signatures, artifact.attestations) == ((b"first", b"second"), (b"bill",))
    assert (artifact.digest, list(artifact.files)) == (before, ["blueprint.yaml"])


async def test_a_signature_that_lies_elsewhere_or_is_too_large_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("secret")
    root = tmp_path / "root"
    put(root, "evil", "", ".signatures/a.sig").unlink()
    (root / "evil" / ".signatures" / "a.sig").symlink_to(tmp_path / "outside")
    put(root, "huge", "x" * (folders.LARGEST_SAID + 1), ".signatures/a.sig")
    for name, reason in (("evil", "PATH_ESCAPES"), ("huge", "TOO_LARGE")):
        with pytest.raises(Permanent) as refused:
            await DirectorySource().fetch(at=at(root), ref=Ref(name))
        assert refused.value.reason == reason
