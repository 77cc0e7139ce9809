"""Zone files of strangers."""

from contextlib import suppress

import pytest
from catalyst_pool_domain_manager.domain.imports import MOST_OCTETS, ZoneFileRefused
from catalyst_pool_domain_manager.workers import zone_files
from catalyst_sdk.dns import RecordSet
from hypothesis import given, settings
from hypothesis import strategies as st

ORIGIN = "acme.example."
HEAD = "$TTL 300\n@ IN SOA ns1.else.example. root.else.example. 7 3600 600 86400 300\n@ IN NS ns1.else.example.\n"


def sets(text: str) -> dict[tuple[str, str], tuple[str, ...]]:
    return {(r.name, r.type): r.records for r in zone_files.read(HEAD + text, ORIGIN)}


def test_a_zone_file_of_a_usual_form_is_read_whole() -> None:
    lines = (
        "www 60 IN A 192.0.2.1", "@ MX 10 mail", "mail IN AAAA 2001:db8::1", 'text TXT ("one"', '  "two; three")',
        "$GENERATE 1-3 h$ A 192.0.2.$", "",
    )  # fmt: skip
    found = sets("\n".join(lines))
    assert found[f"www.{ORIGIN}", "A"] == ("192.0.2.1",)
    assert found[ORIGIN, "MX"] == (f"10 mail.{ORIGIN}",)
    assert found[f"text.{ORIGIN}", "TXT"] == ('"one" "two; three"',)
    assert found[f"h3.{ORIGIN}", "A"] == ("192.0.2.3",)


def test_keys_and_marks_of_the_present_servers_are_left_behind() -> None:
    key = "mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="
    found = sets(f'@ DNSKEY 257 3 13 {key}\n_pdm-rev TXT "gen=3"\n')
    assert {kind for _, kind in found} == {"SOA", "NS"}


@pytest.mark.parametrize(
    ("text", "line", "detail"),
    [
        ("www IN A 192.0.2.300\n", 4, ""),
        ("www IN A 192.0.2.1\nbad IN MX\n", 5, ""),
        ("$INCLUDE /etc/passwd\n", 4, "never opened"),
        ("$GENERATE 1-1001 h$ A 192.0.2.1\n", 4, "1000"),
        ("$GENERATE 1-900 h$ A 192.0.2.1\n$GENERATE 1-900 g$ A 192.0.2.1\n", 5, "1000"),
        ("$ORIGIN other.example.\nwww A 192.0.2.1\n", 4, "outside"),
        ("www.other.example. A 192.0.2.1\n", 4, "outside"),
        ('t TXT "never ends\n', 4, ""),
        ("www IN A\nwww IN A 192.0.2.1\n", 4, ""),
        ("www IN A 192.0.2.1\n\n; all well\nbad IN MX 10\n", 7, ""),
    ],
)
def test_a_fault_names_its_line_and_nothing_is_opened(text: str, line: int, detail: str) -> None:
    with pytest.raises(ZoneFileRefused) as refused:
        sets(text)
    assert int(refused.value.metadata["line"]) == line
    assert detail in refused.value.metadata["detail"]


def test_a_file_without_any_time_to_live_says_what_is_missing() -> None:
    with pytest.raises(ZoneFileRefused) as refused:
        zone_files.read("www A 192.0.2.1\n", ORIGIN)
    assert refused.value.metadata == {"line": "1", "detail": "no time to live is stated; begin the file with $TTL"}


def test_a_file_above_a_mebibyte_is_refused_unread() -> None:
    with pytest.raises(ZoneFileRefused, match="octets"):
        zone_files.read("; " + "x" * MOST_OCTETS, ORIGIN)


names = st.from_regex(r"\A[a-z][a-z0-9-]{0,10}[a-z0-9]\Z")
values = st.lists(st.integers(0, 255).map(lambda n: f"192.0.2.{n}"), min_size=1, max_size=3, unique=True)


@settings(max_examples=50)
@given(st.dictionaries(names, values, min_size=1, max_size=6), st.integers(1, 2**31 - 1))
def test_what_is_written_is_read_again_alike(wished: dict[str, list[str]], ttl: int) -> None:
    written = tuple(RecordSet(f"{label}.{ORIGIN}", "A", ttl, tuple(records)) for label, records in wished.items())
    read = zone_files.read(zone_files.write(written, ORIGIN), ORIGIN)
    assert {(r.name, r.ttl, frozenset(r.records)) for r in read} == {
        (r.name, r.ttl, frozenset(r.records)) for r in written
    }


@settings(max_examples=60)
@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    with suppress(ZoneFileRefused):
        zone_files.read(text, ORIGIN)
