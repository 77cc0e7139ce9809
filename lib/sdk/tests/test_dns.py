"""The helpers of the DNS contract."""

import shlex

import pytest
from catalyst_sdk.dns import RecordSet, ZoneState, text_data


@pytest.mark.parametrize("length", [0, 1, 255, 256, 700])
def test_a_text_of_any_length_becomes_strings_that_dns_can_hold(length: int) -> None:
    value = "".join("abcdefghij"[n % 10] for n in range(length))
    parts = shlex.split(text_data(value))
    assert "".join(parts) == value
    assert all(len(part) <= 255 for part in parts)
    assert len(parts) == max(1, -(-length // 255))


def test_what_a_zone_file_would_misread_is_escaped() -> None:
    assert text_data('a "b" \\ c;d') == r'"a \"b\" \\ c;d"'
    assert text_data("é\n") == r'"\195\169\010"'


def test_a_record_set_is_found_by_name_and_type() -> None:
    wanted = RecordSet("a.test.", "TXT", 60, ('"x"',))
    zone = ZoneState("test.", "somebody", 1, 1, False, (RecordSet("a.test.", "A", 60, ("192.0.2.1",)), wanted), (), "1")
    assert zone.find("a.test.", "TXT") is wanted
    assert zone.find("b.test.", "TXT") is None
