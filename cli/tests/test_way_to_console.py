"""The line that a person is told, where a Sovereign's name is known to the simulated cloud alone."""

from typing import Any

import pytest
from catalyst_cli.commands.sovereign.showing import show_sovereign, way_to_console
from catalyst_cli.output import Form

ONE: dict[str, Any] = {
    "name": "sovereigns/acme",
    "simulated": True,
    "consoleUrl": "http://console.acme.omani.works",
    "clusters": [{"addresses": []}, {"addresses": ["127.7.0.9"]}],
}
LINE = "curl --resolve console.acme.omani.works:80:127.7.0.9 http://console.acme.omani.works"


def test_the_way_to_a_simulated_console_is_a_line_that_needs_no_resolver() -> None:
    assert way_to_console(ONE) == LINE
    assert ":8443:127.7.0.9 " in way_to_console({**ONE, "consoleUrl": "https://console.acme.omani.works:8443"})
    for nowhere in ({"simulated": False}, {"clusters": []}, {"consoleUrl": ""}):
        assert way_to_console({**ONE, **nowhere}) == ""


def test_it_is_told_beside_a_table_and_never_in_what_programs_read(capsys: pytest.CaptureFixture[str]) -> None:
    show_sovereign(Form.TABLE, ONE)
    told = capsys.readouterr()
    assert (LINE in told.err, LINE in told.out) == (True, False)
    show_sovereign(Form.JSON, ONE)
    assert capsys.readouterr().err == ""
