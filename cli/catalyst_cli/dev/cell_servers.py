"""What a cell of dev can be: our own DNS server, or a real one, made as an operator makes it for leases.

An unsigned zone of its own, one key that may change TXT records, no secondaries, no transfers, no notifications. The identity
at `_cell.<zone>` is drawn when the zone is made: a wiped cell is another one.

Invariants
  one home     a folder's cells stay the servers that they were at its first start: there lie the leases;
  not as root  where dev runs as root, a real server becomes the user nobody.
"""

import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from catalyst_mesh.keyfiles import write_private

from . import nobody, recipes
from .layout import CELLS, Layout
from .powerdns import SCHEMA, places

EMBEDDED, AUTO, REAL = "embedded", "auto", "real"
_PLACES = {"bind": ("named", "bind9"), "knot": ("knotd", "knot"), "powerdns": ("pdns_server", "pdns-backend-sqlite3")}
"""Program and Debian package of each real server."""
_WISHED = dict(zip(CELLS, _PLACES, strict=True))
"""Which server each cell is to be: three different ones fail differently."""
_BIND = """
options {{
  directory "{home}"; pid-file none; session-keyfile "{home}/session.key"; lock-file none;
  managed-keys-directory "{home}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no; minimal-responses yes; allow-transfer {{ none; }};
}};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "{zone}" {{ type primary; file "{home}/zone"; update-policy {{ grant "{key}" zonesub TXT; }}; }};
"""
_KNOT = """
server:
    rundir: "{home}"
    listen: 127.0.0.1@{port}
database:
    storage: "{home}"
key:
  - id: {key}
    algorithm: hmac-sha256
    secret: {secret}
acl:
  - id: lease
    key: {key}
    action: update
    update-type: TXT
zone:
  - domain: {zone}
    storage: "{home}"
    file: zone
    acl: lease
    zonefile-load: whole
    journal-content: changes
"""


class CellsUnusable(Exception):
    """The cells cannot be what was asked for; the text says why, for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class CellServer:
    """One cell: the kind of its server and where it lies."""

    name: str
    kind: str
    home: Path


def settle(layout: Layout, asked: str, path: str) -> list[CellServer]:
    """Before anything starts: what each cell of this folder is.

    asked    embedded, auto (real servers where they are installed), real; empty: what they were before, or embedded
    path     where programs are looked for
    raises   CellsUnusable where a real server is asked for and absent, or the folder's cells are others
    """
    memory = layout.folder / "cells" / "kinds"
    known = dict(line.split("=") for line in memory.read_text().split()) if memory.exists() else {}
    if not known and (layout.folder / "cells").exists() and any((layout.folder / "cells" / c).exists() for c in CELLS):
        known = dict.fromkeys(CELLS, EMBEDDED)  # a folder that is older than this memory
    wanted = _wanted(asked, path) if asked or not known else known
    if known and known != wanted:
        raise CellsUnusable(
            f"the leases of {layout.folder} lie on {_said(known)}, not on {_said(wanted)}; leave `--cells` out, or begin "
            "anew with `catalyst dev --clean`"
        )
    memory.parent.mkdir(exist_ok=True, mode=0o700)
    memory.write_text("".join(f"{name}={kind}\n" for name, kind in wanted.items()))
    return [CellServer(name, kind, _home(layout, name, kind)) for name, kind in wanted.items()]


def command(layout: Layout, cell: CellServer) -> list[str]:
    """Command of the server; its zone and configuration are made here. Raises CellsUnusable."""
    if cell.kind == EMBEDDED:
        return recipes.cell(layout, cell.name)
    program, _ = _PLACES[cell.kind]
    values = {
        "home": str(cell.home),
        "port": str(layout.port(cell.name)),
        "zone": recipes.WITNESS_ZONE,
        "key": recipes.WITNESS_KEY,
        "secret": recipes.tsig_key(layout).read_text().strip(),
    }  # fmt: skip - one server
    cell.home.mkdir(exist_ok=True, mode=0o700)
    words = _MADE[cell.kind](cell.home, values)
    try:
        nobody.open_way(layout.folder, cell.home, program)
        return [*nobody.prefix(program), _found(program, places()), *words]
    except nobody.CannotDescend as error:
        raise CellsUnusable(str(error)) from error


def wipe(cell: CellServer) -> None:
    """Take away all that it has."""
    shutil.rmtree(cell.home, ignore_errors=True)


def _wanted(asked: str, path: str) -> dict[str, str]:
    if asked in ("", EMBEDDED):
        return dict.fromkeys(CELLS, EMBEDDED)
    absent = {kind: package for kind, (program, package) in _PLACES.items() if not _found(program, path)}
    if asked == REAL and absent:
        raise CellsUnusable(
            f"not installed: {', '.join(absent)} (packages {', '.join(absent.values())}); `--cells auto` takes our own "
            "server in their place"
        )
    return {name: EMBEDDED if kind in absent else kind for name, kind in _WISHED.items()}


def _found(program: str, path: str) -> str:
    if program == "pdns_server" and not SCHEMA.exists():
        return ""
    return shutil.which(program, path=path) or ""


def _home(layout: Layout, name: str, kind: str) -> Path:
    # A real server's user must be able to go there, past nothing of ours.
    return recipes.cell_home(layout, name) if kind == EMBEDDED else layout.folder / f"{name}-{kind}"


def _said(kinds: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in kinds.items())


def _bind(home: Path, values: Mapping[str, str]) -> Sequence[str]:
    _zone_file(home / "zone")
    write_private(home / "named.conf", _BIND.format(**values))
    return ("-g", "-4", "-n", "1", "-c", str(home / "named.conf"))


def _knot(home: Path, values: Mapping[str, str]) -> Sequence[str]:
    _zone_file(home / "zone")
    write_private(home / "knot.conf", _KNOT.format(**values))
    return ("-c", str(home / "knot.conf"))


def _powerdns(home: Path, values: Mapping[str, str]) -> Sequence[str]:
    if not (home / "pdns.sqlite3").exists():
        _powerdns_zone(home, values)
    settings = {
        "launch": "gsqlite3",
        "gsqlite3-database": f"{home}/pdns.sqlite3",
        "gsqlite3-pragma-journal-mode": "WAL",
        "gsqlite3-pragma-synchronous": "FULL",
        "local-address": "127.0.0.1",
        "local-port": values["port"],
        "socket-dir": str(home),
        "daemon": "no",
        "guardian": "no",
        "disable-syslog": "yes",
        "security-poll-suffix": "",
        "allow-axfr-ips": "",
        "distributor-threads": 1,
        "receiver-threads": 1,
        "dnsupdate": "yes",
        "allow-dnsupdate-from": "127.0.0.0/8",
        "forward-dnsupdate": "no",
        # An old value must never be compared with.
        "zone-cache-refresh-interval": 0,
        "cache-ttl": 0,
        "query-cache-ttl": 0,
        "negquery-cache-ttl": 0,
    }  # fmt: skip - one configuration
    write_private(home / "pdns.conf", "".join(f"{name}={value}\n" for name, value in settings.items()))
    return (f"--config-dir={home}",)


_MADE: Mapping[str, Callable[[Path, Mapping[str, str]], Sequence[str]]] = {
    "bind": _bind,
    "knot": _knot,
    "powerdns": _powerdns,
}  # fmt: skip - one row


def _records() -> list[tuple[str, str, int, str]]:
    zone = recipes.WITNESS_ZONE
    return [
        (zone, "SOA", 60, f"ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 0"),
        (zone, "NS", 60, f"ns.{zone}."),
        (f"ns.{zone}", "A", 60, "127.0.0.1"),
        (f"_cell.{zone}", "TXT", 0, f'"id={uuid4()} inc=1"'),
    ]


def _zone_file(path: Path) -> None:
    if not path.exists():
        lines = (f"{name}. {ttl} IN {kind} {content}\n" for name, kind, ttl, content in _records())
        write_private(path, "".join(lines))


def _powerdns_zone(home: Path, values: Mapping[str, str]) -> None:
    """Whole or not at all: a start that was killed leaves a file that the next one throws away."""
    path, fresh = home / "pdns.sqlite3", home / "pdns.sqlite3.new"
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(fresh)) as sql:
        sql.executescript(SCHEMA.read_text())
        key = values["key"]
        sql.execute("INSERT INTO domains (id, name, type) VALUES (1, ?, 'NATIVE')", (values["zone"],))
        sql.executemany(
            "INSERT INTO records (domain_id, name, type, ttl, content, auth, disabled) VALUES (1, ?, ?, ?, ?, 1, 0)",
            [
                (name, kind, ttl, content.replace(f"{values['zone']}.", values["zone"]))
                for name, kind, ttl, content in _records()
            ],
        )  # fmt: skip - one statement
        sql.execute(
            "INSERT INTO tsigkeys (name, algorithm, secret) VALUES (?, 'hmac-sha256', ?)", (key, values["secret"])
        )
        sql.execute(
            "INSERT INTO domainmetadata (domain_id, kind, content) VALUES (1, 'TSIG-ALLOW-DNSUPDATE', ?)", (key,)
        )
        sql.commit()
    fresh.rename(path)
