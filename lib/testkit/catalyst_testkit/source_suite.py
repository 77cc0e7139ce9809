"""Conformance of plugins that read Blueprints. An author subclasses `SourceSuite` and provides one fixture, `bench`.

class TestMine(SourceSuite):
    @pytest.fixture
    async def bench(self) -> AsyncIterator[SourceBench]: ...
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import pytest
from catalyst_sdk import Permanent, PluginFailure, Temporary
from catalyst_sdk.source import REASONS, Artifact, BlueprintSource, Location, Ref

FILES = {"blueprint.yaml": b"kind: Blueprint\n", "docs/README.md": b"text\n"}


class SourceBench(Protocol):
    """A place that the plugin reads, and what the suite does to it."""

    at: Location

    def source(self) -> BlueprintSource:
        """A fresh plugin, as another replica would have it."""
        ...

    async def put(self, name: str, files: Mapping[str, bytes]) -> None:
        """Keep one item, in place of another of that name."""
        ...

    async def remove(self, name: str) -> None:
        """Have the place hold no such item any more."""
        ...

    async def break_off(self) -> None:
        """Have nothing be read there until the end of the test."""
        ...


async def listed(source: BlueprintSource, at: Location) -> list[Ref]:
    """Every item, over all pages."""
    found: list[Ref] = []
    cursor = ""
    for _ in range(100):
        page = await source.list(at=at, cursor=cursor)
        found += page.refs
        cursor = page.next_cursor
        if not cursor:
            return found
    raise AssertionError("the pages never end")


def name_of(ref: Ref) -> str:
    return ref.name or ref.path


class SourceSuite:
    """The tests that every source of Blueprints passes, ours or a stranger's."""

    async def read(self, bench: SourceBench, name: str) -> tuple[Ref, Artifact]:
        source = bench.source()
        ref = next(ref for ref in await listed(source, bench.at) if name_of(ref) == name)
        return ref, await source.fetch(at=bench.at, ref=ref)

    async def test_what_is_kept_is_listed_and_read_as_it_is(self, bench: SourceBench) -> None:
        await bench.put("shop", FILES)
        ref, artifact = await self.read(bench, "shop")
        assert dict(artifact.files) == FILES
        assert artifact.digest
        assert ref.digest in ("", artifact.digest)

    async def test_equal_bytes_have_equal_digests_and_other_bytes_have_another(self, bench: SourceBench) -> None:
        await bench.put("shop", FILES)
        _, first = await self.read(bench, "shop")
        _, again = await self.read(bench, "shop")
        await bench.put("shop", {**FILES, "docs/README.md": b"TEXT\n"})
        ref, other = await self.read(bench, "shop")
        assert again.digest == first.digest != other.digest
        assert ref.digest in ("", other.digest), "a change is seen in the list"

    async def test_items_come_once_each_in_the_order_of_their_paths(self, bench: SourceBench) -> None:
        for name in ("shop", "cart", "mail"):
            await bench.put(name, FILES)
        found = await listed(bench.source(), bench.at)
        assert [name_of(ref) for ref in found] == ["cart", "mail", "shop"]
        assert len({ref.path for ref in found}) == 3
        page = await bench.source().list(at=bench.at, cursor=found[0].path)
        assert [name_of(ref) for ref in page.refs] == ["mail", "shop"], "a cursor leads on where it was given"

    async def test_an_item_that_is_gone_is_not_found_and_stops_no_other(self, bench: SourceBench) -> None:
        await bench.put("shop", FILES)
        await bench.put("mail", FILES)
        ref, _ = await self.read(bench, "shop")
        await bench.remove("shop")
        source = bench.source()
        assert [name_of(ref) for ref in await listed(source, bench.at)] == ["mail"]
        try:
            kept = await source.fetch(at=bench.at, ref=ref)
        except Permanent as refused:
            assert refused.reason == "NOT_FOUND"  # noqa: PT017 - a source may keep what nothing names any more
        else:
            assert kept.digest == ref.digest, "what is kept beyond its name is still what it was"

    @pytest.mark.parametrize("path", ["..", "../etc", "/etc", "nothing"])
    async def test_a_path_leads_nowhere_else(self, bench: SourceBench, path: str) -> None:
        await bench.put("shop", FILES)
        await listed(source := bench.source(), bench.at)
        with pytest.raises(Permanent) as refused:
            await source.fetch(at=bench.at, ref=Ref(path, name=path, version="1.0.0"))
        assert refused.value.reason in {"NOT_FOUND", "PATH_ESCAPES"}

    async def test_a_place_that_cannot_be_read_is_a_failure_of_the_sdk(self, bench: SourceBench) -> None:
        await bench.put("shop", FILES)
        await bench.source().probe(at=bench.at)
        await bench.break_off()
        for ask in (bench.source().probe(at=bench.at), bench.source().list(at=bench.at)):
            with pytest.raises(PluginFailure) as failed:
                await ask
            assert isinstance(failed.value, Temporary) or getattr(failed.value, "reason", "") in REASONS

    async def test_a_location_that_says_nothing_is_refused_for_good(self, bench: SourceBench) -> None:
        for config in ({}, dict.fromkeys(bench.at.config, 3)):
            with pytest.raises(Permanent) as refused:
                await bench.source().probe(at=Location(config, bench.at.credential))
            assert refused.value.reason == "CONFIG"

    async def test_many_may_read_at_once(self, bench: SourceBench) -> None:
        for name in ("cart", "mail", "shop"):
            await bench.put(name, FILES)
        source = bench.source()
        found = await asyncio.gather(*(listed(source, bench.at) for _ in range(4)))
        assert found == [found[0]] * 4
        artifacts = await asyncio.gather(*(source.fetch(at=bench.at, ref=ref) for ref in found[0] * 4))
        assert all(dict(artifact.files) == FILES for artifact in artifacts)

    async def test_reading_does_not_hold_the_loop(self, bench: SourceBench) -> None:
        await bench.put("shop", FILES)
        listing = asyncio.create_task(listed(bench.source(), bench.at))
        turns = 0
        while not listing.done():
            turns += 1
            await asyncio.sleep(0)
        assert turns > 1
