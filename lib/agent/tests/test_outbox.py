"""Reports that nobody has confirmed yet, over deaths."""

from catalyst_agent.outbox import Outbox


def test_the_outbox_keeps_numbers_over_deaths_and_cut_off_lines(tmp_path) -> None:
    box = Outbox(tmp_path / "outbox")
    for number in (1, 2, 3):
        box.add(number, f"report {number}".encode())
    box.confirm(1)
    box.close()
    with (tmp_path / "outbox").open("a") as file:
        file.write('{"seq": 4, "rep')
    again = Outbox(tmp_path / "outbox")
    assert again.next == 4
    assert [n for n, _ in again.after(1)] == [2, 3]
    again.confirm(3)
    again.add(4, b"four")
    again.close()
    third = Outbox(tmp_path / "outbox")
    assert third.after(3) == [(4, b"four")]
    third.close()


def test_a_confirmed_outbox_does_not_grow(tmp_path) -> None:
    box = Outbox(tmp_path / "outbox")
    for number in range(1, 400):
        box.add(number, b"x" * 2000)
        box.confirm(number)
    box.close()
    assert (tmp_path / "outbox").stat().st_size < 300 * 1024
    again = Outbox(tmp_path / "outbox")
    assert again.next == 400
    again.close()
