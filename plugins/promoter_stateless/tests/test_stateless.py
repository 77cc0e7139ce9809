"""The fencer's suite, and what a move of nothing owes."""

import asyncio
from pathlib import Path

import pytest
from catalyst_promoter_stateless.promoter import StatelessPromoter, configured
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.continuum import DemotionToken, Effect, Follow, Role
from catalyst_testkit.continuum.fencer_suite import FencerBench, FencerSuite

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"


def promoter(folder: Path, probe: str = "") -> StatelessPromoter:
    regions = {EAST: {"probe": probe} if probe else {}, WEST: {}}
    return StatelessPromoter(configured({"here": EAST, "regions": regions, "patience_seconds": 5}), folder)


async def led(one: StatelessPromoter, epoch: int) -> Effect:
    return await one.promote(region=EAST, epoch=epoch, run="r", token=None)


class TestFencer(FencerSuite):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> FencerBench:
        async def lead(epoch: int) -> None:
            assert await led(promoter(tmp_path), epoch) is Effect.DONE

        async def write() -> bool | None:
            return (await promoter(tmp_path).observe(region=EAST)).writable

        async def restart() -> None:
            """Each look reads the disk."""

        return FencerBench(lambda: promoter(tmp_path).fencers()[0], EAST, lead, write, restart)


async def test_a_region_leads_in_the_newest_epoch_over_restarts(tmp_path: Path) -> None:
    assert await led(promoter(tmp_path), 2) is Effect.DONE
    assert await led(promoter(tmp_path), 2) is Effect.DONE
    assert await led(promoter(tmp_path), 1) is Effect.STALE_EPOCH
    view = await promoter(tmp_path).observe(region=EAST)
    assert (view.role, view.writable, view.epoch, view.sync) == (Role.PRIMARY, True, 2, frozenset({WEST}))
    assert (await promoter(tmp_path).probe_write(region=EAST, epoch=2)).acknowledged is True
    assert (await promoter(tmp_path).probe_write(region=EAST, epoch=3)).acknowledged is False


async def test_whoever_gave_up_leads_in_that_epoch_no_more(tmp_path: Path) -> None:
    one = promoter(tmp_path)
    with pytest.raises(Permanent, match="nothing to give up"):
        await one.demote(region=EAST, epoch=1, run="r")
    await led(one, 2)
    assert await one.demote(region=EAST, epoch=1, run="r") is Effect.STALE_EPOCH
    token = await one.demote(region=EAST, epoch=2, run="r")
    assert isinstance(token, DemotionToken)
    assert await one.demote(region=EAST, epoch=2, run="again") == token
    assert await led(one, 2) is Effect.STALE_EPOCH
    assert await led(one, 3) is Effect.DONE


async def test_a_region_follows_at_once_and_not_in_its_own_epoch(tmp_path: Path) -> None:
    one = promoter(tmp_path)
    await led(one, 2)
    assert await one.set_sync(region=EAST, standbys=frozenset({WEST}), epoch=2) is Effect.DONE
    assert await one.set_sync(region=EAST, standbys=frozenset(), epoch=1) is Effect.STALE_EPOCH
    assert (await one.follow(region=EAST, primary=WEST, epoch=2, run="r")).state is Follow.BLOCKED
    assert (await one.follow(region=EAST, primary=WEST, epoch=1, run="r")).state is Follow.BLOCKED
    assert (await one.follow(region=EAST, primary=WEST, epoch=3, run="r")).state is Follow.FOLLOWING
    assert (await one.observe(region=EAST)).writable is False
    with pytest.raises(Permanent, match="does not lead"):
        await one.set_sync(region=EAST, standbys=frozenset(), epoch=3)


async def test_of_another_region_nothing_is_known_here(tmp_path: Path) -> None:
    one = promoter(tmp_path)
    assert (await one.observe(region=WEST)).writable is None
    with pytest.raises(Temporary):
        await one.promote(region=WEST, epoch=1, run="r", token=None)
    with pytest.raises(Permanent, match="no region"):
        await one.promote(region="sb-nowhere-rtz-dev", epoch=1, run="r", token=None)
    with pytest.raises(Permanent, match="no region"):
        configured({"here": "sb-nowhere-rtz-dev", "regions": {EAST: {}}})


@pytest.mark.parametrize(("status", "well"), [("204 No Content", True), ("500 Oh", False), ("", None)])
async def test_an_application_that_is_not_well_takes_no_canary(tmp_path: Path, status: str, well: bool | None) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode() if status else b"")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        one = promoter(tmp_path, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/healthz")
        await led(one, 1)
        assert (await one.probe_write(region=EAST, epoch=1)).acknowledged is well
