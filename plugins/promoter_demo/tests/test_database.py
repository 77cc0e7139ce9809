"""One database, on a real disk, without its ports."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from catalyst_promoter_demo.behind import CANARY, ROW, Closed, Entry, Unsure
from catalyst_promoter_demo.database import Database
from catalyst_promoter_demo.serving import found, token
from catalyst_promoter_demo.store import FolderUnusable, Store
from catalyst_sdk import deadman
from catalyst_sdk.deadman import Sign, boot_id, boottime
from catalyst_testkit.waiting import eventually

WEST = frozenset({"west"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """The east's, the first copy of a database."""
    found(tmp_path / "east", "east")
    opened = Store(tmp_path / "east", "east")
    yield opened
    opened.close()


@pytest.fixture
def led(store: Store) -> Database:
    """Primary in epoch 1, of a short patience with its standbys."""
    database = Database(store, patience=0.05)
    database.promote(1, 0)
    return database


async def test_a_number_that_comes_twice_is_one_write(led: Database) -> None:
    entries = await asyncio.gather(*(led.write(ROW, n) for n in (7, 7, 8, 7)))
    assert [entry.position for entry in entries] == [2, 2, 3, 2]
    assert (await led.write(ROW, 7)).position == 2
    assert (await led.write(CANARY, 7)).position == 4
    assert [entry.n for entry in await led.read(ROW, 0, 10)] == [7, 8]


async def test_a_write_that_no_standby_confirms_is_not_acknowledged_nor_shown(led: Database) -> None:
    led.set_sync(WEST, 1)
    with pytest.raises(Unsure, match="west"):
        await led.write(ROW, 7)
    with pytest.raises(Unsure):
        await led.read(ROW, 0, 10)
    led.confirm("west", 2)
    assert (await led.write(ROW, 7)).position == 2
    assert [entry.n for entry in await led.read(ROW, 0, 10)] == [7]


async def test_a_fence_between_the_write_and_its_confirmation_leaves_it_unknown(store: Store) -> None:
    database = Database(store, patience=30)
    database.promote(1, 0)
    database.set_sync(WEST, 1)
    writing = asyncio.create_task(database.write(ROW, 7))
    await eventually(lambda: database.end == 2, within=60, what="the write is on disk here")
    database.fence(1)
    database.confirm("west", 2)
    with pytest.raises(Unsure, match="fenced"):
        await writing
    with pytest.raises(Closed, match="fenced"):
        await database.write(ROW, 8)


async def test_what_a_standby_confirmed_in_another_epoch_counts_no_more(led: Database) -> None:
    led.confirm("west", 50)
    led.demote(1)
    led.promote(2, 0)
    led.set_sync(WEST, 2)
    with pytest.raises(Unsure):
        await led.write(ROW, 7)
    assert led.standing.joined == frozenset()


async def test_a_region_that_was_started_writes_only_after_somebody_said_so(led: Database, store: Store) -> None:
    again = Database(store)
    with pytest.raises(Closed, match="started"):
        await again.write(ROW, 7)
    again.unfence(1)
    assert (await again.write(ROW, 7)).epoch == 1


def sign(epoch: int = 1, left: float = 86_400.0, boot: str = "") -> Sign:
    return Sign(epoch, boot or boot_id(), boottime() + left)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (lambda: None, "no agent"),
        (lambda: sign(left=-1), "ended"),
        (lambda: sign(boot="another"), "before this machine"),
        (lambda: sign(epoch=2), "epoch 2, not for 1"),
    ],
)
async def test_no_write_is_taken_for_which_no_agent_vouches(
    led: Database, store: Store, tmp_path: Path, given: Callable[[], Sign | None], why: str
) -> None:
    path = tmp_path / "deadman.json"
    guarded = Database(store, path)
    if now := given():
        deadman.write(path, now)
    with pytest.raises(Closed, match=why):
        await guarded.write(ROW, 7)
    deadman.write(path, sign())
    assert (await guarded.write(ROW, 7)).n == 7


@pytest.mark.parametrize(
    "text", ["", "{}", "no json", '{"epoch": 1}', "[]", '{"epoch": "x", "boot_id": "", "boottime_deadline": 0}']
)
def test_a_sign_of_life_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "deadman.json").write_text(text)
    assert deadman.read(tmp_path / "deadman.json") is None


async def test_a_sign_of_life_that_ends_while_a_standby_is_waited_for_leaves_the_write_unknown(
    led: Database, store: Store, tmp_path: Path
) -> None:
    path = tmp_path / "deadman.json"
    deadman.write(path, sign())
    guarded = Database(store, path, patience=30)
    guarded.set_sync(WEST, 1)
    writing = asyncio.create_task(guarded.write(ROW, 7))
    await eventually(lambda: guarded.end == 2, within=60, what="the write is on disk here")
    deadman.write(path, sign(left=-1))
    guarded.confirm("west", 2)
    with pytest.raises(Unsure, match="ended"):
        await writing


def entry(position: int, epoch: int = 1) -> Entry:
    return Entry(position, epoch, ROW, position, "west", 0)


@pytest.mark.parametrize(
    ("primary", "epoch", "position"), [("north", 2, 2), ("west", 1, 2), ("west", 2, 3), ("west", 2, 1)]
)
def test_nothing_is_pulled_from_a_stranger_an_older_epoch_or_past_a_gap(
    led: Database, primary: str, epoch: int, position: int
) -> None:
    led.follow("west", 2)
    assert led.pulled(primary, epoch, [entry(position)]) is False
    assert led.end == 1


def test_a_standby_hears_of_its_primarys_newer_epoch(led: Database) -> None:
    led.follow("west", 2)
    assert led.pulled("west", 3, [entry(2)]) is True
    assert (led.end, led.standing.epoch) == (2, 3)


def test_what_is_cut_off_is_kept_aside_and_the_copy_lacks_something_until_it_has_caught_up(
    led: Database, store: Store
) -> None:
    led.follow("west", 2)
    led.pulled("west", 2, [entry(n) for n in (2, 3, 4)])
    led.cut(led.standing.system_id, 2, 5, "run")
    assert (led.end, store.discarded(), led.view()["ready"]) == (2, 2, False)
    led.pulled("west", 2, [entry(n) for n in (3, 4, 5)])
    assert led.view()["ready"] is True


def test_a_copy_that_is_not_the_primarys_is_not_ready_until_it_pulls_again_or_leads(led: Database) -> None:
    led.part("a primary has nobody to differ from")
    assert led.view()["ready"] is True
    led.follow("west", 2)
    led.part("3 entries")
    assert led.view()["ready"] is False
    led.pulled("west", 2, [])
    assert led.view()["ready"] is True
    led.part("3 entries")
    led.promote(3, 0)
    assert led.view()["ready"] is True


def test_everything_is_there_again_in_the_next_process(tmp_path: Path) -> None:
    found(tmp_path, "east")
    first = Store(tmp_path, "east")
    led = Database(first)
    led.promote(1, 0)
    led.set_sync(WEST, 1)
    led.fence(1)
    first.close()
    again = Store(tmp_path, "east")
    assert (again.standing, again.end, again.turns) == (first.standing, 1, [(1, 1)])
    again.close()


def test_a_folder_belongs_to_one_process_and_one_region(store: Store, tmp_path: Path) -> None:
    with pytest.raises(FolderUnusable, match="another database"):
        Store(tmp_path / "east", "east")
    found(tmp_path / "another", "east")
    with pytest.raises(FolderUnusable, match="of east, not of west"):
        found(tmp_path / "another", "west")


def test_a_first_copy_is_made_once(tmp_path: Path) -> None:
    assert found(tmp_path / "one", "east") == found(tmp_path / "one", "east") != ""


def test_the_token_is_drawn_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "token"
    drawn = token(path)
    assert (token(path), len(drawn), path.stat().st_mode & 0o777) == (drawn, 64, 0o600)
    assert [one.name for one in path.parent.iterdir()] == ["token"]
