"""The pool on PowerDNS: its server process, and the zone that the embedded server's top level hands over to it.

Invariants
  one home     a folder's pool stays on the server of its first start: there lie its zones and their keys;
  handed over  NS and DS stand in the top level before any daemon starts; a start that was killed is completed by the next;
  not as root  where dev runs as root, the server is shut in its own folder and becomes the user nobody.
"""

import asyncio
import json
import os
import secrets
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from catalyst_sdk import PluginFailure, Temporary

from .layout import Layout

if TYPE_CHECKING:
    from catalyst_sdk.dns import DnsBackend

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
SECRET = "powerdns-api-key"  # noqa: S105 - the name of a secret
NOBODY = 65534
OWNER = "catalyst-dev"
TTL = 60
READY_WITHIN = 120.0
"""Seconds until both DNS servers must answer."""


class PowerDnsUnusable(Exception):
    """The pool cannot be on the server that was asked for; the text says why, for the person at the terminal."""


def places() -> str:
    """Where the server's program is looked for; Debian's is on no ordinary user's PATH."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


def settle(layout: Layout, path: str) -> None:
    """Before anything starts: remember on which server the pool of this folder lies.

    path     where PowerDNS is looked for, if it is asked for
    raises   PowerDnsUnusable where the pool lies on another server, or PowerDNS is not installed
    """
    if layout.dns_server == "powerdns":
        _binary(path)
    memory = layout.folder / "dns-server"
    if not memory.exists():
        # A folder that is older than this memory has its pool on the embedded server.
        memory.write_text("embedded" if layout.dns.exists() else layout.dns_server)
    known = memory.read_text().strip()
    if known != layout.dns_server:
        raise PowerDnsUnusable(
            f"the zones of {layout.folder} lie on the {known} server; start with `--dns {known}`, or begin anew "
            "with `catalyst dev --clean`"
        )


def command(layout: Layout) -> list[str]:
    """Command of the server; its database and configuration are made here. Raises PowerDnsUnusable."""
    binary = _binary(places())
    home = layout.folder / "powerdns"
    home.mkdir(exist_ok=True, mode=0o700)
    _make_database(home)
    is_root = os.geteuid() == 0
    inside = "" if is_root else str(home)  # seen from where the server is shut in
    settings = {
        "launch": "gsqlite3", "gsqlite3-database": f"{inside}/pdns.sqlite3", "gsqlite3-dnssec": "yes",
        "gsqlite3-pragma-journal-mode": "WAL", "gsqlite3-pragma-synchronous": "FULL",
        "local-address": "127.0.0.1", "local-port": layout.port("powerdns"), "socket-dir": f"{inside}/",
        "daemon": "no", "guardian": "no", "disable-syslog": "yes", "security-poll-suffix": "", "allow-axfr-ips": "",
        "api": "yes", "api-key": _api_key(layout), "webserver": "yes", "webserver-address": "127.0.0.1",
        "webserver-port": layout.port("powerdns-api"), "webserver-allow-from": "127.0.0.0/8",
        "default-publish-cds": 2, "default-publish-cdnskey": 1, "direct-dnskey": "yes",
        "distributor-threads": 1, "receiver-threads": 1,
        # What was just changed is asked for at once.
        "zone-cache-refresh-interval": 0, "cache-ttl": 0, "query-cache-ttl": 0, "negquery-cache-ttl": 0,
        **({"chroot": str(home), "setuid": NOBODY, "setgid": NOBODY} if is_root else {}),
    }  # fmt: skip
    _write_private(home / "pdns.conf", "".join(f"{name}={value}\n" for name, value in settings.items()))
    if is_root:
        for path in (home, *home.glob("pdns.sqlite3*")):
            os.chown(path, NOBODY, NOBODY)
    return [binary, f"--config-dir={home}"]


def settings(layout: Layout) -> dict[str, str]:
    """What PDM is told about it."""
    if layout.dns_server != "powerdns":
        return {}
    config = {"dns_backend:dns_powerdns": {"url": _url(layout), "api_key": SECRET}}
    return {"PLUGINS": json.dumps(config), "SECRETS_FOLDER": str(_secrets(layout))}


async def hand_over(layout: Layout) -> None:
    """Make the pool's zone there, point the top level to it, and write where all servers listen. Repeatable."""
    from catalyst_sdk.dns import Change, RecordSet, ZoneSpec

    pool, above, host, second = f"{layout.pool}.", f"{layout.tree}.", f"ns1.{layout.pool}.", f"ns2.{layout.pool}."
    glue = RecordSet(host, "A", TTL, ("127.0.0.1",))
    deadline = time.monotonic() + READY_WITHIN
    while True:
        try:
            spec = ZoneSpec(pool, (host,), OWNER, (glue, replace(glue, name=second)), ttl=TTL, negative_ttl=1)
            zone = await _on_powerdns(layout).create_zone(spec=spec)
            ds = tuple(text for key in zone.keys if key.active for text in key.ds)
            cut = (Change(pool, "NS", TTL, (host,)), Change(pool, "DS", TTL, ds), Change(host, "A", TTL, glue.records))
            await _on_embedded(layout).apply(zone=above, changes=cut)
            break
        except Temporary as failure:  # they have only just been started
            if time.monotonic() > deadline:
                raise PowerDnsUnusable(f"{failure}; see {layout.logs / 'powerdns.log'}") from failure
            await asyncio.sleep(0.05)
        except PluginFailure as failure:
            raise PowerDnsUnusable(f"the pool's zone cannot be made: {failure}") from failure
    known = json.loads((layout.dns / "hints.json").read_text())
    temporary = layout.hints.with_suffix(".new")
    temporary.write_text(
        json.dumps({**known, **dict.fromkeys((host, second), layout.address("powerdns"))}, indent=1) + "\n"
    )
    temporary.replace(layout.hints)


def _on_powerdns(layout: Layout) -> "DnsBackend":
    from catalyst_dns_powerdns.api import Api
    from catalyst_dns_powerdns.plugin import PowerDnsBackend

    async def headers() -> dict[str, str]:
        return {"X-API-Key": _api_key(layout)}

    return PowerDnsBackend(Api(_url(layout), headers, try_seconds=5))


def _on_embedded(layout: Layout) -> "DnsBackend":
    from catalyst_dns_embedded.client import ControlClient
    from catalyst_dns_embedded.plugin import EmbeddedBackend

    return EmbeddedBackend(ControlClient(layout.address("dns-control"), layout.dns))


def _url(layout: Layout) -> str:
    return f"http://{layout.address('powerdns-api')}/api/v1/servers/localhost"


def _secrets(layout: Layout) -> Path:
    return layout.folder / "secrets"


def _api_key(layout: Layout) -> str:
    """Drawn once in the life of the folder."""
    path = _secrets(layout) / SECRET
    if not path.exists():
        path.parent.mkdir(exist_ok=True, mode=0o700)
        _write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def _binary(path: str) -> str:
    found = shutil.which("pdns_server", path=path)
    if found is None or not SCHEMA.exists():
        absent = "pdns-backend-sqlite3" if found else "pdns-server"
        raise PowerDnsUnusable(f"PowerDNS is not here: install the package {absent}, or start without `--dns powerdns`")
    return found


def _make_database(home: Path) -> None:
    """Whole or not at all: a start that was killed leaves a file that the next one throws away."""
    path, fresh = home / "pdns.sqlite3", home / "pdns.sqlite3.new"
    if path.exists():
        return
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh)) as sql:
        sql.executescript(SCHEMA.read_text())
    fresh.rename(path)


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.touch(mode=0o600)
    temporary.write_text(text)
    temporary.replace(path)
