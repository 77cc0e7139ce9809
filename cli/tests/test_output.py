"""What commands print."""

import csv
import io

import pytest
from catalyst_cli.output import Form, show, show_one


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


def test_a_word_of_an_enum_is_shown_without_what_its_field_says_already(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"signature": "SIGNATURE_NOT_REQUIRED", "trust": {"sbomState": "SBOM_STATE_VALID"}}
    show(Form.TABLE, row, {"SIGNATURE": "signature", "SBOM": "trust.sbomState"})
    assert capsys.readouterr().out.splitlines()[1].split() == ["NOT_REQUIRED", "VALID"]


def test_beside_one_resource_stands_what_of_it_does_not_hold(capsys: pytest.CaptureFixture[str]) -> None:
    fallen = {"type": "Reachable", "status": "STATUS_FALSE", "reason": "Timeout", "message": "no answer in 5 s"}
    answer = {"name": "sources/acme", "conditions": [{"type": "Ready", "status": "STATUS_TRUE"}, fallen]}
    show_one(Form.TABLE, answer, {"NAME": "name"})
    told = capsys.readouterr()
    assert (told.out.split(), told.err.strip()) == (["NAME", "sources/acme"], "Reachable: Timeout: no answer in 5 s")
    show_one(Form.JSON, answer, {"NAME": "name"})
    assert capsys.readouterr().err == ""
