"""The steps of the region that gives, one by one."""

from types import SimpleNamespace
from typing import Any

import pytest
from catalyst_continuum.domain.authority import Moment
from catalyst_continuum.domain.lease import NO_WRITERS
from catalyst_continuum.domain.timing import FAST
from catalyst_continuum.workers.steps import source
from catalyst_sdk.continuum import DatabaseView, DemotionToken

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"


class Watched:
    """Remembers what it is asked to do; whatever it is, it works."""

    def __init__(self) -> None:
        self.done = list[str]()

    def __getattr__(self, name: str) -> Any:
        async def do(*args: Any, **told: Any) -> bool:
            self.done.append(name)
            return True

        return do


@pytest.mark.parametrize(
    ("replayed", "done"),
    [(None, []), ("0/1F", []), ("0/20", ["deliver", "hand_off"]), ("1/0", ["deliver", "hand_off"])],
)
async def test_nothing_is_offered_before_the_other_region_has_all_of_the_log(
    replayed: str | None, done: list[str]
) -> None:
    hands = Watched()
    sight = SimpleNamespace(look_at_peer=Watched().look, report=lambda region: DatabaseView(region, replayed=replayed))
    scene: Any = SimpleNamespace(
        run=SimpleNamespace(target=WEST, id="abcdefghij"), token=DemotionToken(EAST, 1, "0/20"), proof=NO_WRITERS,
        clock=lambda: Moment(5.0, 0.0), peers={WEST: hands}, offering_since=None, sight=sight, rights=hands,
        duty=SimpleNamespace(profile=FAST, slot="demo/shop"),
    )  # fmt: skip
    await source._offer(scene)
    assert hands.done == done


async def test_writes_go_on_until_the_region_that_gains_may_act_on_a_grant(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done = [100.0], list[tuple[str, float]]()

    async def passing(seconds: float) -> None:
        clock[0] += seconds

    async def effect(name: str, do: Any) -> None:
        done.append((name, clock[0]))

    def report(region: str) -> DatabaseView:
        return DatabaseView(region, acts_after=max(0.0, 112.0 - clock[0]))

    monkeypatch.setattr(source.asyncio, "sleep", passing)
    scene: Any = SimpleNamespace(
        run=SimpleNamespace(target=WEST, id="abcdefghij"), clock=lambda: Moment(clock[0], 0.0), effect=effect, epoch=1,
        region=EAST, sight=SimpleNamespace(look_at_peer=Watched().look, report=report), waited_until=None,
        hands=SimpleNamespace(traffic=None, promoter=None), duty=SimpleNamespace(profile=FAST, ttl=5, low_ttl=1),
    )  # fmt: skip
    await source._shorten(scene)
    assert done == [("ttl", 100.0)]
    assert scene.waited_until == pytest.approx(112.0), "nothing is drained before"
