"""What is settled before PowerDNS starts."""

from pathlib import Path

import pytest
from catalyst_cli.dev.layout import Layout
from catalyst_cli.dev.powerdns import PowerDnsUnusable, places, settle
from catalyst_testkit.servers import need


def test_a_machine_without_powerdns_names_the_package_and_settles_nothing(tmp_path: Path) -> None:
    with pytest.raises(PowerDnsUnusable, match="install the package pdns-server"):
        settle(Layout(tmp_path, dns_server="powerdns"), str(tmp_path))
    assert list(tmp_path.iterdir()) == []
    settle(Layout(tmp_path), str(tmp_path))


@pytest.mark.parametrize(("first", "then"), [("embedded", "powerdns"), ("powerdns", "embedded")])
def test_a_pool_stays_on_the_server_of_its_first_start(tmp_path: Path, first: str, then: str) -> None:
    need("pdns_server", package="pdns-server")
    for _ in range(2):
        settle(Layout(tmp_path, dns_server=first), places())
    with pytest.raises(PowerDnsUnusable, match=f"lie on the {first} server; start with `--dns {first}`"):
        settle(Layout(tmp_path, dns_server=then), places())


def test_a_folder_from_before_there_was_a_choice_has_its_pool_on_the_embedded_server(tmp_path: Path) -> None:
    need("pdns_server", package="pdns-server")
    (tmp_path / "dns").mkdir()
    with pytest.raises(PowerDnsUnusable, match="lie on the embedded server"):
        settle(Layout(tmp_path, dns_server="powerdns"), places())
    settle(Layout(tmp_path), places())
