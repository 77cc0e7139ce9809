"""What can be decided without a server."""

from dataclasses import replace
from pathlib import Path

import pytest
from catalyst_promoter_postgres.following import common, parted
from catalyst_promoter_postgres.place import Configured, Place, configured
from catalyst_promoter_postgres.questions import Facts, Turn, history, lsn, number
from catalyst_promoter_postgres.server import Server
from catalyst_promoter_postgres.standbys import waiting
from catalyst_sdk import Permanent

FACTS = Facts(True, "s1", 3, 900, 900, None, ((1, 100), (2, 500)), {}, (0, 0))
PRIMARY = replace(FACTS, standby=False, received=1000, replayed=1000, turns=((1, 100), (2, 500), (3, 900)))


@pytest.fixture
def server(tmp_path: Path) -> Server:
    place = Place("east", "127.0.0.1", 5432, tmp_path)
    return Server(Configured({"east": place}, programs=configured({"regions": {}}).programs), place)


@pytest.mark.parametrize(
    ("text", "value"), [("0/0", 0), ("0/3000060", 0x3000060), ("A/FF", (10 << 32) + 255), (None, 0)]
)
def test_a_log_position_is_a_number_and_back(text: str | None, value: int) -> None:
    assert number(text) == value
    assert number(lsn(value)) == value


def test_a_timeline_history_says_where_each_was_left() -> None:
    text = "1\t0/1775300\tno recovery target specified\n\n# a remark\n2\t0/30000D8\tno recovery target specified\n"
    assert history(text) == {1: 0x1775300, 2: 0x30000D8}


def test_commits_wait_for_all_standbys_in_one_setting() -> None:
    assert waiting([]) == ""
    assert waiting({"sb-west-rtz-dev"}) == 'FIRST 1 ("sb-west-rtz-dev")'
    assert waiting({"b", 'a"'}) == 'FIRST 2 ("a""", "b")'


@pytest.mark.parametrize(
    ("ours", "our_end", "theirs", "their_end", "shared"),
    [
        (((1, 1),), 5, ((1, 1),), 9, 9),
        (((1, 1),), 9, ((1, 1), (2, 6)), 8, 6),
        (((1, 1),), 6, ((1, 1), (2, 6)), 8, 6),
        (((1, 1), (3, 9)), 12, ((1, 1), (2, 6)), 8, 6),
        ((), 0, ((1, 1),), 4, 0),
        (((2, 1),), 3, ((1, 1),), 4, 1),
    ],
)
def test_how_far_two_histories_are_one(
    ours: tuple[Turn, ...], our_end: int, theirs: tuple[Turn, ...], their_end: int, shared: int
) -> None:
    assert common(ours, our_end, theirs, their_end) == shared


def test_two_timelines_with_one_number_are_told_apart_by_their_epochs(server: Server) -> None:
    assert parted(server, FACTS, PRIMARY) == ""
    assert parted(server, replace(FACTS, received=901), PRIMARY)
    twin = replace(FACTS, received=950, turns=((1, 100), (2, 500), (4, 900)))
    assert (twin.timeline, bool(parted(server, twin, PRIMARY))) == (PRIMARY.timeline, True)
    assert "another database" in parted(server, replace(FACTS, system="s2"), PRIMARY)


def test_a_promotion_that_died_before_its_epoch_had_a_row_counts(server: Server) -> None:
    server.intend(4, FACTS.timeline - 1, 700)
    assert parted(server, FACTS, PRIMARY)
    server.intend(4, FACTS.timeline, 700)
    assert parted(server, FACTS, PRIMARY) == ""


def test_what_was_found_about_a_copy_is_kept_until_it_is_mended(server: Server) -> None:
    server.part("17 bytes")
    assert server.parted == "17 bytes"
    server.part("")
    server.part("")
    assert server.parted == ""


def test_settings_stand_beside_the_data_and_are_quoted(server: Server, tmp_path: Path) -> None:
    server.configure({"primary_conninfo": "host=it's"})
    text = (tmp_path / "postgresql.conf").read_text()
    assert "primary_conninfo = 'host=it''s'\n" in text
    assert "synchronous_commit = 'remote_apply'\n" in text
    assert "listen_addresses = '127.0.0.1'\n" in text


def test_a_number_that_a_dead_server_left_is_no_server(server: Server) -> None:
    server.data.mkdir()
    for text in ("1\n", "99999999\n", "no number\n"):
        (server.data / "postmaster.pid").write_text(text)
        assert server.pid is None


def test_a_server_elsewhere_is_only_asked(tmp_path: Path) -> None:
    told = configured({"regions": {"east": {"address": "[::1]:5432"}}})
    assert (told.place("east").host, told.place("east").port) == ("::1", 5432)
    with pytest.raises(Permanent, match="another machine"):
        Server(told, told.place("east"))
    with pytest.raises(Permanent, match="no region"):
        told.place("west")
