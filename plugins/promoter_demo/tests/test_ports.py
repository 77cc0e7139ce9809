"""What the ports say to callers who err; asked without a socket."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from catalyst_promoter_demo import control
from catalyst_promoter_demo.__main__ import main
from catalyst_promoter_demo.admission import Admission
from catalyst_promoter_demo.behind import ROW
from catalyst_promoter_demo.database import Database
from catalyst_promoter_demo.gateway import Gateway
from catalyst_promoter_demo.serving import found
from catalyst_promoter_demo.store import Store
from catalyst_promoter_demo.stream import Peer, Stream
from catalyst_promoter_demo.web import App

TOKEN = {"Authorization": "Bearer right"}


def client(app: App) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here")  # type: ignore[arg-type]


@pytest.fixture
async def base(tmp_path: Path) -> AsyncIterator[Database]:
    found(tmp_path, "east")
    store = Store(tmp_path, "east")
    made = Database(store, patience=0.05)
    made.promote(1, 0)
    yield made
    store.close()


@pytest.fixture
async def gateway(base: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with client(Gateway(base, Admission(tmp_path / "admission.json")).application("right")) as http:
        yield http


@pytest.fixture
async def port(base: Database) -> AsyncIterator[httpx.AsyncClient]:
    stream = Stream(base, {"west": Peer("west", "127.0.0.1:9")}, "right")
    async with client(control.application(base, stream, "right")) as http:
        yield http
    await stream.close()


async def test_a_row_is_answered_with_its_epoch_and_region(gateway: httpx.AsyncClient) -> None:
    made = await gateway.post("/rows", json={"n": 7})
    assert (made.status_code, made.json()) == (201, {"n": 7, "epoch": 1, "region": "east", "position": 2})
    assert (await gateway.get("/rows/7")).json() == made.json()
    assert (await gateway.get("/rows")).json() == {"rows": [made.json()], "next": 2}
    assert (await gateway.get("/rows", params={"after": 2})).json() == {"rows": [], "next": 2}
    assert (await gateway.get("/canaries")).json() == {"canaries": [], "next": 0}
    told = {"region": "east", "role": "primary", "epoch": 1, "writable": True, "why": ""}
    assert (await gateway.get("/whoami")).json() == told


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b'{"n": -1}', b'{"n": true}', b'{"n": 1.5}', b'{"n": 9223372036854775808}', b"x" * 70_000],
)
async def test_a_body_without_a_whole_number_is_no_row(gateway: httpx.AsyncClient, body: bytes) -> None:
    answer = await gateway.post("/rows", content=body)
    assert (answer.status_code, bool(answer.json()["why"])) == (400, True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/rows/8", 404),
        ("DELETE", "/rows", 405),
        ("GET", "/rows/x", 400),
        ("GET", "/rows?after=x", 400),
        ("GET", "/admission", 401),
        ("PUT", "/admission", 401),
        ("HEAD", "/healthz", 200),
    ],
)
async def test_what_is_not_there_is_said_to_be_so(
    gateway: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    assert (await gateway.request(method, path)).status_code == status


async def test_a_fenced_region_asks_its_clients_to_come_again(gateway: httpx.AsyncClient, base: Database) -> None:
    base.fence(1)
    answer = await gateway.post("/rows", json={"n": 7})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert (await gateway.get("/whoami")).json()["writable"] is False


async def test_a_write_that_nobody_confirms_is_unknown(gateway: httpx.AsyncClient, base: Database) -> None:
    base.set_sync(frozenset({"west"}), 1)
    assert (await gateway.post("/rows", json={"n": 7})).status_code == 504
    assert (await gateway.get("/rows")).status_code == 503


async def test_a_closed_gateway_takes_no_write_and_an_older_epoch_does_not_open_it(
    gateway: httpx.AsyncClient, tmp_path: Path, base: Database
) -> None:
    closed = await gateway.put("/admission", json={"epoch": 2, "open": False}, headers=TOKEN)
    assert closed.json() == {"epoch": 2, "open": False, "in_flight": 0}
    answer = await gateway.post("/rows", json={"n": 7})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    stale = await gateway.put("/admission", json={"epoch": 1, "open": True}, headers=TOKEN)
    assert (stale.status_code, stale.json()["epoch"]) == (409, 2)
    again = client(Gateway(base, Admission(tmp_path / "admission.json")).application("right"))
    assert (await again.post("/rows", json={"n": 7})).status_code == 503
    assert (await again.put("/admission", json={"epoch": 2, "open": True}, headers=TOKEN)).json()["open"] is True
    assert (await again.post("/rows", json={"n": 7})).status_code == 201
    await again.aclose()


@pytest.mark.parametrize("body", [{}, {"open": "yes", "epoch": 1}, {"open": True}, {"open": True, "epoch": "e"}])
async def test_an_order_that_cannot_be_understood_changes_nothing(
    gateway: httpx.AsyncClient, body: dict[str, object]
) -> None:
    assert (await gateway.put("/admission", json=body, headers=TOKEN)).status_code == 400


async def test_a_database_obeys_only_who_has_the_token(port: httpx.AsyncClient) -> None:
    for wrong in ({}, {"Authorization": "Bearer wrong"}):
        assert (await port.get("/view", headers=wrong)).status_code == 401
        assert (await port.post("/fence", json={"epoch": 9}, headers=wrong)).status_code == 401
    assert (await port.get("/view", headers=TOKEN)).json()["epoch"] == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/promote", {"epoch": 0}, 409),
        ("/promote", {}, 400),
        ("/promote", {"epoch": 2, "wanted": 99}, 412),
        ("/follow", {"epoch": 1, "primary": "west"}, 412),
        ("/follow", {"epoch": 2, "primary": "nowhere"}, 412),
        ("/follow", {"epoch": 2}, 400),
        ("/sync", {"epoch": 1, "standbys": "west"}, 400),
        ("/sync", {"epoch": 1, "standbys": ["nowhere"]}, 412),
    ],
)
async def test_a_call_that_may_not_be_done_is_refused_with_its_reason(
    port: httpx.AsyncClient, base: Database, path: str, body: dict[str, object], status: int
) -> None:
    before = base.standing
    answer = await port.post(path, json=body, headers=TOKEN)
    assert (answer.status_code, bool(answer.json()["why"])) == (status, True)
    assert base.standing == before


@pytest.mark.parametrize(
    ("asked", "status"),
    [({"system": "another"}, 412), ({"after": 7}, 412), ({"at": 9}, 412), ({"epoch": 2}, 412), ({"after": "x"}, 400)],
)
async def test_a_standby_of_another_history_neither_pulls_nor_confirms(
    port: httpx.AsyncClient, base: Database, asked: dict[str, object], status: int
) -> None:
    query = {"after": 1, "at": 1, "epoch": 1, "region": "west", "system": base.standing.system_id, **asked}
    base.set_sync(frozenset({"west"}), 1)
    assert (await port.get("/log", params=query, headers=TOKEN)).status_code == status  # type: ignore[arg-type]
    assert base.standing.joined == frozenset()


async def test_what_a_standby_asks_for_next_confirms_what_it_has(port: httpx.AsyncClient, base: Database) -> None:
    await base.write(ROW, 7)
    base.set_sync(frozenset({"west"}), 1)
    query = {"after": 1, "at": 1, "epoch": 1, "region": "west", "system": base.standing.system_id}
    told = (await port.get("/log", params=query, headers=TOKEN)).json()  # type: ignore[arg-type]
    assert [entry[0] for entry in told["entries"]] == [2]
    assert (base.kept, base.standing.joined) == (1, frozenset())
    await port.get("/log", params={**query, "after": 2}, headers=TOKEN)  # type: ignore[arg-type]
    assert (base.kept, base.standing.joined) == (2, {"west"})


@pytest.mark.parametrize(
    "word",
    [
        "--database=0.0.0.0:1",
        "--gateway=10.0.0.1:1",
        "--database=127.0.0.1:70000",
        "--peer=west",
        "--peer=west=nowhere",
    ],
)
def test_a_process_listens_on_loopback_only(tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["serve", "--folder", str(tmp_path), "--region", "east", "--token-file", "t", "--gateway=127.0.0.1:0"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--database=127.0.0.1:0", word])
    assert end.value.code == 2
    assert word.partition("=")[0] in capsys.readouterr().err
