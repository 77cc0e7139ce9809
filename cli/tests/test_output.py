"""What commands print."""

import csv
import io

import pytest
from catalyst_cli.output import Form, show


def test_rows_are_exported_for_spreadsheets_and_no_cell_is_a_formula(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "a, b", "amount": "-1.000 OMR"}, {"name": "=HYPERLINK(1)", "amount": None}, {"name": "-x\n"}]
    show(Form.CSV, {"rows": rows}, {"NAME": "name", "AMOUNT": "amount"}, rows)
    assert list(csv.reader(io.StringIO(capsys.readouterr().out))) == [
        ["NAME", "AMOUNT"],
        ["a, b", "-1.000 OMR"],
        ["'=HYPERLINK(1)", ""],
        ["'-x\n", ""],
    ]  # fmt: skip - a table


def test_a_table_in_a_pipe_is_a_line_a_row_and_ends_with_its_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "a", "ok": True, "tier": "TIER_OPTIONAL"}, {"name": "b" * 300, "ok": False}]
    show(Form.TABLE, {}, {"NAME": "name", "OK": "ok", "TIER": "tier"}, rows)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["NAME", "OK", "TIER"], ["a", "yes", "OPTIONAL"], ["b" * 300, "no"]]
    assert lines == [line.rstrip() for line in lines]


def test_a_cell_shows_its_text_whatever_brackets_are_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": '[project.entry-points."a"]'}, {"name": "[/b]"}]
    show(Form.TABLE, {}, {"NAME": "name"}, rows)
    assert capsys.readouterr().out.splitlines() == ["NAME", '[project.entry-points."a"]', "[/b]"]


def test_no_names_are_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show(Form.NAME, {"rows": []}, {"NAME": "name"}, [])
    assert capsys.readouterr().out == ""
