"""The catalogue at the size that its specification names, against the seconds that it wants: the bare thing is the wish."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from catalyst.catalog.v1 import service_pb2 as rpc
from catalyst.catalog.v1.service_pb2_grpc import CatalogServiceStub
from catalyst_mesh import connect
from catalyst_testkit.servers import NatsServer

from .full_catalogue import BLUEPRINTS, VERSIONS, name_of
from .harness import Goal, Round, compare, crowd, measured
from .serving import serving
from .table import Table

CALLERS = 50
SIZE = f"{BLUEPRINTS:,} × {VERSIONS}, {CALLERS} callers at once, SQLite"


def wish(seconds: float) -> Callable[[], Awaitable[Round]]:
    """A side that takes exactly as long as is wanted."""

    async def side() -> Round:
        return Round([seconds], seconds, 1)

    return side


@measured
async def test_cards_and_blueprints_of_a_full_catalogue(table: Table, home: Path, nats: NatsServer) -> None:
    (home / "catalog").mkdir()
    with serving("catalog", home=str(home / "catalog"), nats_url=nats.url) as child:
        channel = connect(child["target"], token=lambda: child["token"])
        stub = CatalogServiceStub(channel)
        cards, one = (
            rpc.SearchCardsRequest(q="data"),
            rpc.GetBlueprintRequest(name=f"blueprints/{name_of(BLUEPRINTS - 1)}"),
        )
        for what, seconds, ask in (
            ("cards by a word", 0.050, lambda: stub.SearchCards(cards)),
            ("cards, all of them", 0.050, lambda: stub.SearchCards(rpc.SearchCardsRequest())),
            ("GetBlueprint", 0.020, lambda: stub.GetBlueprint(one)),
        ):
            row = await compare(
                f"catalog: {what}, {SIZE} (aim p95 {seconds * 1e3:.0f} ms)", Goal("p95", 1, "the aim"),
                ours=lambda ask=ask: crowd([ask] * CALLERS, 200), bare=wish(seconds),
            )  # fmt: skip
            table.add(row)
        await channel.close(None)
