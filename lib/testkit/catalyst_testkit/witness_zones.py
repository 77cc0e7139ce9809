"""Zones of cells and traffic on real name servers, as an operator makes them: unsigned, no secondaries, one key that may
update."""

import os
from pathlib import Path
from uuid import uuid4

from .bind import BindServer
from .knot import KnotServer
from .nameservers import UPDATE_KEY, UPDATE_SECRET
from .powerdns import PowerDnsServer
from .servers import NOBODY

ZONE = "witness.test"
UPDATES = {"dnsupdate": "yes", "allow_dnsupdate_from": "127.0.0.0/8", "forward_dnsupdate": "no"}
"""Settings with which PowerDNS takes updates, and passes none on."""


def new_identity() -> str:
    """What `_cell.<zone>` says of a new cell."""
    return f"id={uuid4()} inc=1"


def on_bind(server: BindServer, identity: str, zone: str = ZONE) -> None:
    """Made over the control channel."""
    path = _zone_file(server.zones, identity, zone)
    policy = f'update-policy {{ grant "{UPDATE_KEY.rstrip(".")}" zonesub ANY; }}'
    made = server.rndc("addzone", zone, f'{{ type primary; file "{path}"; {policy}; notify no; }};')
    assert made.returncode == 0, made.stderr


def on_knot(server: KnotServer, identity: str, zone: str = ZONE) -> None:
    """Made over the control socket; zone file and journal are the template's, `whole` and `changes`."""
    _zone_file(server.zones, identity, zone)
    for words in (("conf-begin",), ("conf-set", f"zone[{zone}]"), ("conf-commit",)):
        made = server.knotc(*words)
        assert made.returncode == 0, made.stderr


def on_powerdns(server: PowerDnsServer, identity: str, zone: str = ZONE) -> None:
    """Made over the API."""
    key = {"name": UPDATE_KEY.rstrip("."), "algorithm": "hmac-sha256", "key": UPDATE_SECRET}
    assert server.api("POST", "/tsigkeys", key).status_code == 201
    cell = {"name": f"_cell.{zone}.", "type": "TXT", "ttl": 0, "records": [{"content": f'"{identity}"'}]}
    made = {"name": f"{zone}.", "kind": "Native", "nameservers": [f"ns.{zone}."], "rrsets": [cell]}
    assert server.api("POST", "/zones", made).status_code == 201
    body = {"kind": "TSIG-ALLOW-DNSUPDATE", "metadata": [UPDATE_KEY.rstrip(".")]}
    assert server.api("PUT", f"/zones/{zone}./metadata/TSIG-ALLOW-DNSUPDATE", body).status_code == 200


def _zone_file(zones: Path, identity: str, zone: str) -> Path:
    path = zones / f"{zone}.zone"
    path.write_text(
        f"{zone}. 60 IN SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 0\n{zone}. 60 IN NS ns.{zone}.\n"
        f'ns.{zone}. 60 IN A 127.0.0.1\n_cell.{zone}. 0 IN TXT "{identity}"\n'
    )
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path
