"""What waits for the store on a disk."""

from pathlib import Path

from catalyst_continuum.workers.spool import MOST, Spool, Told

FIRST = Told("demo/shop", "sb-east-rtz-dev", "region.fenced", "row 1", {"proof": "stopped"})
SECOND = Told("demo/shop", "sb-east-rtz-dev", "rejoin.attempted", "", {"attempt": "1"})


def test_what_was_told_outlives_a_death_in_its_order_until_the_store_has_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    spool.put(FIRST)
    spool.put(SECOND)
    again = Spool(tmp_path / "spool")
    waiting = again.first()
    assert waiting is not None
    assert waiting[1] == FIRST
    again.taken(waiting[0])
    last = Spool(tmp_path / "spool")
    assert last.first() == (2, SECOND)
    last.put(FIRST)
    last.taken(2)
    assert last.first() == (3, FIRST), "a number is given once"


def test_what_cannot_be_read_holds_up_nothing_and_a_full_disk_loses_nothing_of_this_life(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "000000000001.json").write_text("{")
    (folder / "new").write_text("half of it")
    spool = Spool(folder)
    assert spool.first() is None
    (folder / "new").unlink()
    (folder / "new").mkdir()  # nothing can be written there any more
    spool.put(FIRST)
    assert spool.first() == (1, FIRST)


def test_of_too_much_the_oldest_goes(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    for number in range(MOST + 2):
        spool.put(FIRST if number < 2 else SECOND)
    assert spool.first() == (3, SECOND)
    assert len(list((tmp_path / "spool").glob("*.json"))) == MOST
