"""Desired state, epochs and tokens of CloudNativePG Clusters, over a fake of their API; positions over a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from catalyst_promoter_cnpg import sql
from catalyst_promoter_cnpg.promoter import CnpgPromoter, configured, position
from catalyst_sdk import Permanent, Temporary
from catalyst_sdk.continuum import DemotionToken, Effect, Follow, Role
from catalyst_testkit import eventually
from catalyst_testkit.postgres import PostgresServer

from .fake_api import TOKEN, FakeApi, Resource, cluster, serve

EAST, WEST = "sb-east-rtz-dev", "sb-west-rtz-dev"
BOTH = frozenset({WEST})


@pytest.fixture
def api() -> FakeApi:
    """The east leads, and the operator has seen it."""
    fake = FakeApi({"shop-east": cluster("shop-east", "shop-east"), "shop-west": cluster("shop-west", "shop-east")})
    fake.operate()
    return fake


@pytest.fixture
async def promoter(api: FakeApi, tmp_path: Path) -> AsyncIterator[CnpgPromoter]:
    server = serve(api)
    (tmp_path / "token").write_text(TOKEN)
    where = {
        "api": f"http://127.0.0.1:{server.server_port}",
        "token_file": str(tmp_path / "token"),
        "namespace": "shop",
    }
    regions = {EAST: {**where, "cluster": "shop-east"}, WEST: {**where, "cluster": "shop-west"}}
    made = CnpgPromoter(*configured({"regions": regions}))
    yield made
    await made.close()
    await asyncio.to_thread(server.shutdown)
    server.server_close()


async def promoted(promoter: CnpgPromoter, region: str, epoch: int, token: DemotionToken | None = None) -> Effect:
    return await promoter.promote(region=region, epoch=epoch, run="r", token=token)


async def moved(api: FakeApi, promoter: CnpgPromoter) -> DemotionToken:
    """The east leads in epoch 1, and gives up in it."""
    assert await promoted(promoter, EAST, 1) is Effect.DONE
    assert await promoter.demote(region=EAST, epoch=1, run="r") is Effect.UNKNOWN
    api.operate()
    token = await promoter.demote(region=EAST, epoch=1, run="r")
    assert isinstance(token, DemotionToken)
    return token


async def test_a_promotion_is_one_patch_with_token_and_epoch(api: FakeApi, promoter: CnpgPromoter) -> None:
    token = await moved(api, promoter)
    api.patches.clear()
    assert await promoted(promoter, WEST, 2, token) is Effect.UNKNOWN
    api.operate()
    assert await promoted(promoter, WEST, 2, token) is Effect.DONE
    ((name, patch),) = api.patches
    assert name == "shop-west"
    assert patch["spec"]["replica"] == {"primary": "shop-west", "promotionToken": token.opaque}
    assert patch["spec"]["postgresql"] == {"synchronous": None}
    assert patch["metadata"]["annotations"]["dr.openova.io/epoch"] == "2"


async def test_a_demotion_is_proved_by_a_token_that_was_not_there_before(api: FakeApi, promoter: CnpgPromoter) -> None:
    token = await moved(api, promoter)
    assert (token.region, token.epoch, token.lsn, position(token.opaque)) == (EAST, 1, "0/3000060", "0/3000060")
    assert await promoter.demote(region=EAST, epoch=1, run="again") == token
    assert await promoted(promoter, EAST, 1) is Effect.STALE_EPOCH
    # It leads again later; what the operator left of the first demotion proves nothing about the second.
    await promoted(promoter, EAST, 2, token)
    api.operate()
    api.clusters["shop-east"]["status"]["demotionToken"] = token.opaque
    assert await promoted(promoter, EAST, 2, token) is Effect.DONE
    assert await promoter.demote(region=EAST, epoch=2, run="r") is Effect.UNKNOWN
    api.operate()
    assert isinstance(await promoter.demote(region=EAST, epoch=2, run="r"), DemotionToken)


async def test_an_older_epoch_changes_nothing(api: FakeApi, promoter: CnpgPromoter) -> None:
    assert await promoted(promoter, EAST, 3) is Effect.DONE
    api.patches.clear()
    fencer = promoter.fencers()[0]
    assert await promoted(promoter, EAST, 2) is Effect.STALE_EPOCH
    assert await promoter.demote(region=EAST, epoch=2, run="r") is Effect.STALE_EPOCH
    assert await promoter.set_sync(region=EAST, standbys=BOTH, epoch=2) is Effect.STALE_EPOCH
    assert await fencer.unfence(region=EAST, epoch=2, run="r") is Effect.STALE_EPOCH
    assert (await promoter.follow(region=EAST, primary=WEST, epoch=2, run="r")).state is Follow.BLOCKED
    assert await fencer.fence(region=EAST, epoch=2, run="r", budget=5) is not None
    assert api.patches == []
    assert (await promoter.observe(region=EAST)).writable is True


async def test_whoever_was_quicker_with_a_newer_epoch_is_not_written_over(api: FakeApi, promoter: CnpgPromoter) -> None:
    def newer(found: Resource) -> None:
        found["metadata"]["annotations"]["dr.openova.io/epoch"] = "9"

    api.before_patch = newer
    assert await promoted(promoter, WEST, 2) is Effect.STALE_EPOCH
    assert api.patches == []
    assert (await promoter.observe(region=WEST)).epoch == 9


async def test_a_patch_beside_which_somebody_changed_another_thing_is_made_anew(
    api: FakeApi, promoter: CnpgPromoter
) -> None:
    api.before_patch = lambda found: found["spec"].update(instances=3)
    assert await promoted(promoter, EAST, 1) is Effect.DONE
    assert api.clusters["shop-east"]["spec"]["instances"] == 3
    assert len(api.patches) == 1


async def test_two_promotions_in_one_epoch_are_one_patch(api: FakeApi, promoter: CnpgPromoter) -> None:
    assert [await promoted(promoter, EAST, 1) for _ in range(2)] == [Effect.DONE, Effect.DONE]
    assert len(api.patches) == 1


async def test_a_fence_is_proved_when_no_instance_is_ready(api: FakeApi, promoter: CnpgPromoter) -> None:
    await promoted(promoter, EAST, 1)
    fencer = promoter.fencers()[0]

    async def asked() -> bool:  # an API that answers later than the budget has not been told yet
        assert await fencer.fence(region=EAST, epoch=1, run="r", budget=0.3) is None
        annotations = api.clusters["shop-east"]["metadata"]["annotations"]
        return annotations.get("cnpg.io/fencedInstances") == '["*"]'

    await eventually(asked, within=60, what="the operator is asked to fence")  # type: ignore[arg-type]  # T is bool
    api.operate()
    proof = await fencer.fence(region=EAST, epoch=1, run="r", budget=30)
    assert proof is not None
    assert (proof.level, EAST in proof.evidence) == (1, True)
    assert await promoted(promoter, EAST, 1) is not Effect.DONE
    view = await promoter.observe(region=EAST)
    assert (view.role, view.writable) == (Role.STOPPED, False)
    assert (await fencer.observe(region=EAST)).fenced is True
    assert await fencer.unfence(region=EAST, epoch=1, run="r") is Effect.DONE
    api.operate()
    assert await promoted(promoter, EAST, 1) is Effect.DONE
    assert (await fencer.observe(region=EAST)).fenced is False


async def test_a_newer_epoch_lifts_no_fence_of_a_primary_that_leads_in_an_older_one(
    api: FakeApi, promoter: CnpgPromoter
) -> None:
    await promoted(promoter, EAST, 1)
    fencer = promoter.fencers()[0]
    assert await fencer.unfence(region=EAST, epoch=2, run="r") is Effect.DONE
    api.operate()
    assert (await promoter.observe(region=EAST)).writable is False
    await promoted(promoter, EAST, 2)
    api.operate()
    assert await promoted(promoter, EAST, 2) is Effect.DONE


async def test_commits_wait_for_the_designated_primaries_of_the_standbys(api: FakeApi, promoter: CnpgPromoter) -> None:
    await promoted(promoter, EAST, 1)
    assert await promoter.set_sync(region=EAST, standbys=BOTH, epoch=1) is Effect.DONE
    assert api.clusters["shop-east"]["spec"]["postgresql"]["synchronous"] == {
        "method": "first",
        "number": 1,
        "maxStandbyNamesFromCluster": 0,
        "standbyNamesPre": ["shop-west-1"],
        "dataDurability": "required",
    }  # fmt: skip - two a line
    assert await promoter.set_sync(region=EAST, standbys=frozenset(), epoch=1) is Effect.DONE
    assert "synchronous" not in api.clusters["shop-east"]["spec"]["postgresql"]
    with pytest.raises(Permanent, match="not the primary"):
        await promoter.set_sync(region=WEST, standbys=frozenset({EAST}), epoch=1)


async def test_a_replica_follows_the_cluster_that_it_is_told_to(api: FakeApi, promoter: CnpgPromoter) -> None:
    token = await moved(api, promoter)
    await promoted(promoter, WEST, 2, token)
    api.operate()
    told = await promoter.follow(region=EAST, primary=WEST, epoch=2, run="r")
    assert (told.state, "nobody can say" in told.why) == (Follow.CATCHING_UP, True)
    assert api.clusters["shop-east"]["spec"]["replica"]["primary"] == "shop-west"
    told = await promoter.follow(region=WEST, primary=EAST, epoch=2, run="r")
    assert told.state is Follow.BLOCKED
    assert api.clusters["shop-west"]["spec"]["replica"]["primary"] == "shop-west"


async def test_a_region_that_does_not_answer_is_unknown(api: FakeApi, promoter: CnpgPromoter) -> None:
    api.down = {"shop-east"}
    fencer = promoter.fencers()[0]
    view = await promoter.observe(region=EAST)
    assert (view.role, view.writable, view.epoch) == (None, None, None)
    assert await promoted(promoter, EAST, 1) is Effect.UNKNOWN
    assert await promoter.demote(region=EAST, epoch=1, run="r") is Effect.UNKNOWN
    assert await promoter.set_sync(region=WEST, standbys=frozenset({EAST}), epoch=1) is Effect.UNKNOWN
    assert await fencer.fence(region=EAST, epoch=1, run="r", budget=1) is None
    assert await fencer.unfence(region=EAST, epoch=1, run="r") is Effect.UNKNOWN
    assert (await fencer.observe(region=EAST)).fenced is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "CREDENTIALS_REJECTED"), (403, "CREDENTIALS_REJECTED"), (404, "CLUSTER_ABSENT"), (422, "CLUSTER_INVALID")],
)
async def test_what_only_people_can_mend_is_said_to_be_so(
    api: FakeApi, promoter: CnpgPromoter, status: int, reason: str
) -> None:
    api.status = status
    with pytest.raises(Permanent) as failure:
        await promoted(promoter, EAST, 1)
    assert failure.value.reason == reason


async def test_an_annotation_that_is_no_epoch_stops_everything(api: FakeApi, promoter: CnpgPromoter) -> None:
    api.clusters["shop-east"]["metadata"]["annotations"]["dr.openova.io/epoch"] = "seven"
    with pytest.raises(Permanent, match="no epoch"):
        await promoted(promoter, EAST, 8)
    assert api.patches == []


async def test_a_canary_needs_an_address_and_the_epoch(api: FakeApi, promoter: CnpgPromoter) -> None:
    assert (await promoter.probe_write(region=EAST, epoch=1)).acknowledged is None


@pytest.mark.parametrize("token", ["", "no base64", "e30="])
def test_a_token_that_cannot_be_read_is_no_proof(token: str) -> None:
    with pytest.raises(Temporary):
        position(token)


async def test_a_database_tells_its_positions_and_takes_a_canary(postgres: PostgresServer) -> None:
    address = (await postgres.database()).replace("postgresql+asyncpg:", "postgresql:")
    found = await sql.facts(address, 10)
    assert (found.standby, found.streams, found.sync, found.received) == (False, False, frozenset(), found.replayed)
    assert await sql.canary(address, 1, 10) is True
    later = await sql.facts(address, 10)
    place: Callable[[str | None], Any] = lambda lsn: [int(part, 16) for part in (lsn or "0/0").split("/")]  # noqa: E731
    assert place(later.replayed) > place(found.replayed)
    with pytest.raises(Temporary):
        await sql.facts("postgresql://postgres@127.0.0.1:1/none", 1)
