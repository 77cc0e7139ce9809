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
