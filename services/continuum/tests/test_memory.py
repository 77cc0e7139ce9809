"""What an agent finds on its disk after a death."""

from pathlib import Path

from catalyst_continuum.workers.memory import DiskMemory, Remembered

SLOT = "demo/shop"
KEPT = Remembered(
    epoch=5, led=5, open=5, held=5, sent_at=70.0, unconfirmed=(6, 9), forced=(7, 10.0), token=("r", 5, "0/20", "")
)


def test_everything_is_found_again_but_a_moment_of_another_start_of_the_machine(tmp_path: Path) -> None:
    DiskMemory(tmp_path, "one start").keep(SLOT, KEPT)
    assert DiskMemory(tmp_path, "one start").read(SLOT) == KEPT
    later = DiskMemory(tmp_path, "another start").read(SLOT)
    assert (later.sent_at, later.led, later.unconfirmed) == (None, 5, (6, 9)), "its clock began anew"


def test_what_cannot_be_read_says_nothing(tmp_path: Path) -> None:
    memory = DiskMemory(tmp_path, "one start")
    assert memory.read(SLOT) == Remembered()
    memory.keep(SLOT, KEPT)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text()[:-9])
    assert memory.read(SLOT) == Remembered()
