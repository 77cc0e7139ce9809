"""Whom an agent has fence: fencers of its own region when its right is over, those of elsewhere when it takes over."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from catalyst_continuum.domain.authority import Moment
from catalyst_continuum.domain.timing import FAST
from catalyst_continuum.workers.act import Acts
from catalyst_continuum.workers.steps.scene import Hands, Scene
from catalyst_sdk import Temporary
from catalyst_sdk.continuum import Effect, FenceProof, FenceView

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"


class Fencer:
    """Remembers what it was asked; hangs, fails or proves."""

    level, worst_case = 1, 1.0

    def __init__(self, *, local: bool, does: str = "proves") -> None:
        self.local, self.does = local, does
        self.asked: list[tuple[str, int]] = []

    async def fence(self, *, region: str, epoch: int, run: str, budget: float) -> FenceProof | None:
        self.asked.append((region, epoch))
        if self.does == "fails":
            raise Temporary("away")
        if self.does == "hangs":
            await asyncio.Event().wait()
        return FenceProof(self.level, 1.0, region)

    async def unfence(self, *, region: str, epoch: int, run: str) -> Effect:
        return Effect.DONE

    async def observe(self, *, region: str) -> FenceView:
        return FenceView(None)


class Region:
    """West, which acts in epoch 5 and has one fencer of its own and three for elsewhere."""

    def __init__(self) -> None:
        self.own = Fencer(local=True)
        self.elsewhere = [Fencer(local=False, does=does) for does in ("proves", "fails", "hangs")]
        promoter: Any = SimpleNamespace(fencers=lambda: [self.own, self.elsewhere[0]])
        self.hands = Hands(promoter, Any, self.elsewhere[1:])  # type: ignore[arg-type]  # no traffic is led here
        self.traced: list[tuple[str, int, str]] = []
        self.duty = SimpleNamespace(region=WEST, others=(EAST,), profile=FAST, slot="demo/shop")

    def trace(
        self, event: str, *, epoch: int = 0, seq: int = 0, deadline: float | None = None, effect: str = ""
    ) -> None:
        self.traced.append((event, epoch, effect))

    def scene(self, source: str) -> Scene:
        told: dict[str, Any] = dict.fromkeys(("rights", "sight", "memory", "peers", "tell", "precheck"))
        run: Any = SimpleNamespace(source=source, id="abcdefghij")
        duty: Any = self.duty
        standing: Any = SimpleNamespace(epoch=5)
        return Scene(
            duty=duty,
            hands=self.hands,
            standing=standing,
            clock=lambda: Moment(5.0, 0.0),
            trace=self.trace,
            run=run,
            **told,
        )  # fmt: skip - one call


@pytest.fixture
def west() -> Region:
    return Region()


async def test_who_takes_over_has_the_region_before_fenced_from_elsewhere_in_its_own_epoch(west: Region) -> None:
    async with asyncio.timeout(60):  # of the one that hangs
        await west.scene(EAST).fence_remote(0.05)
    assert [one.asked for one in west.elsewhere] == [[(EAST, 4)]] * 3
    assert west.own.asked == [], "ours stops our own writers"
    assert sorted(west.traced) == [("remote-fence", 4, f"{EAST} {what}") for what in ("proved", "unproved", "unproved")]


@pytest.mark.parametrize("source", ["", "sb-nowhere-rtz-dev", WEST])
async def test_nobody_is_fenced_for_a_guess(west: Region, source: str) -> None:
    await west.scene(source).fence_remote(0.05)
    assert [one.asked for one in west.elsewhere] == [[]] * 3


async def test_who_has_lost_its_right_has_its_own_writers_stopped_and_nobody_elsewhere(west: Region) -> None:
    told: list[str] = []
    standing = SimpleNamespace(epoch=5, proof=None, fence_began=4.0, trouble={})
    sight = SimpleNamespace(lease=None, forget_database=lambda: None)
    parts: dict[str, Any] = dict.fromkeys(("rights", "memory", "peers"))
    parts |= {"standing": standing, "sight": sight, "duty": west.duty}
    acts = Acts(
        hands=west.hands,
        clock=lambda: Moment(5.0, 0.0),
        trace=west.trace,
        tell=lambda kind, **more: told.append(kind),
        **parts,
    )  # fmt: skip - one call
    await acts.fence()
    assert (west.own.asked, told) == ([(WEST, 5)], ["region.fenced"])
    assert [one.asked for one in west.elsewhere] == [[]] * 3
