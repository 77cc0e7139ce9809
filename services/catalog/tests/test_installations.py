"""What stands, as `environment` tells of it: counted on cards, planned beside, measured against plans."""

from pathlib import Path
from typing import Any

import pytest
from catalyst.catalog.v1 import resources_pb2 as pb
from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1 import service_pb2_grpc as stubs
from catalyst.environment.v1 import events_pb2 as environment
from catalyst_catalog.domain.installations import Installation, told
from catalyst_catalog.installing import HANDLED
from catalyst_mesh import Told
from catalyst_testkit.daemons import RunningDaemon

from .asking import Start, catalog
from .makers import needs, write

pytestmark = pytest.mark.either_database
NAMES = {"installed": "ApplicationInstalled", "updated": "ApplicationUpdated", "removed": "ApplicationRemoved"}


async def tell(
    daemon: RunningDaemon, kind: str, app: str, number: int, version: str = "1.0.0", org: str = "acme"
) -> None:
    """Have the catalogue handle an event, as its consumer does."""
    fields: dict[str, Any] = {"blueprint": "blueprints/bp-app-ghost"}
    if kind != "removed":
        fields["blueprint_version"] = version
    message = getattr(environment, NAMES[kind])(
        application=f"environments/{org}-prod/applications/{app}",
        version=number,
        organization=f"organizations/{org}",
        environment=f"environments/{org}-prod",
        **fields,
    )  # fmt: skip - one event
    (handled,) = [one for one in HANDLED if one.subject.endswith(f".{kind}")]

    async def step(tx: Any) -> None:
        assert not await handled.handler(tx, message, Told("id", handled.subject, "", number, tx.now, "", 1))

    await daemon.daemon.work.again(step)


async def test_what_stands_is_counted_for_its_members_planned_beside_and_measured(start: Start, folder: Path) -> None:
    write(folder, "bp-db", visibility="listed")
    write(folder, "bp-app-ghost", visibility="listed", depends=needs(db="^1"))
    async with start() as daemon:
        member = catalog(daemon, subject="dev", groups=["/acme/org-developer"])
        stranger = catalog(daemon, subject="x", groups=["/rival/org-developer"])
        ghost = rpc.GetBlueprintRequest(name="blueprints/bp-app-ghost")
        await tell(daemon, "updated", "early", 1)  # not yet seen healthy
        for number, app in enumerate(("blog", "news"), 3):
            await tell(daemon, "installed", app, number)
            await tell(daemon, "installed", app, number)
        seen = await member.GetBlueprint(ghost)
        wanted = [f"environments/acme-prod/applications/{app}" for app in ("blog", "news")]
        assert (seen.installed_count, list(seen.applications)) == (2, wanted)
        assert (await stranger.GetBlueprint(ghost)).installed_count == 0
        cards = (await member.SearchCards(rpc.SearchCardsRequest(q="ghost"))).cards
        assert [card.installed_count for card in cards] == [2]
        advice = await member.AdviseUpgrades(rpc.AdviseUpgradesRequest(parent="environments/acme-prod"))
        assert [one.application for one in advice.advices] == ["blog", "news"]
        shop = daemon.stub(stubs.StorefrontServiceStub, subject="dev", groups=["/acme/org-developer"])
        small = rpc.CheckCapacityRequest(plan="plans/s", apps=["apps/ghost"])
        app = await shop.GetApp(rpc.GetAppRequest(name="apps/ghost"))
        assert (await shop.CheckCapacity(small)).capacity.used.ram_mb == 0
        small.org = "organizations/acme"
        beside = (await shop.CheckCapacity(small)).capacity
        assert beside.used.ram_mb == 2 * app.needs.ram_mb > 0
        small.used.CopyFrom(pb.Resources())
        assert (await shop.CheckCapacity(small)).capacity.used.ram_mb == 0  # whoever knows better says so
        await tell(daemon, "updated", "blog", 9, version="1.1.0")
        await tell(daemon, "removed", "news", 9)
        await tell(daemon, "updated", "news", 8)  # late
        (left,) = (await member.AdviseUpgrades(rpc.AdviseUpgradesRequest(parent="environments/acme-prod"))).advices
        assert (left.application, left.current_version) == ("blog", "1.1.0")


def test_an_old_word_changes_nothing() -> None:
    known = Installation("a", "acme", "environments/acme-prod", "blueprints/bp-x", "2.0.0", "", 5)
    assert told(known, known) is None
    assert told(None, known) is known
