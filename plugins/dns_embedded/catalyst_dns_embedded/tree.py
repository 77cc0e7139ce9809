"""A small Internet of names: root, top levels and pools, each signed, each delegated by the one above.

Beside the zones two files are written for everybody who resolves: `root.key`, the trust anchor, and `hints.json`, which
says at which address and port each name server really listens.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from catalyst_sdk.dns import Change, RecordSet, ZoneSpec, ZoneState

from .authority import Authority

OWNER = "catalyst-tree"
SERVER, SECOND = "ns1.{zone}", "ns2.{zone}"
TTL = 60


def plant(authority: Authority, pools: Sequence[str], address: str, folder: Path) -> None:
    """Make what is absent, and write the files. Repeating it changes nothing."""
    host, _, _ = address.rpartition(":")
    zones = ["."]
    for pool in pools:
        labels = pool.rstrip(".").split(".")
        zones += [".".join(labels[depth:]) + "." for depth in range(len(labels) - 1, -1, -1)]
    states = [_zone(authority, name, host) for name in dict.fromkeys(zones)]
    for child in states[1:]:
        _delegate(authority, child, max((s for s in states if _is_above(s, child)), key=lambda s: len(s.name)), host)
    # Whoever asks for two names of a pool's server, as parents do, finds an address for either.
    seconds = [SECOND.format(zone=f"{pool.rstrip('.')}.") for pool in pools]
    for name in seconds:
        _add(authority, name.partition(".")[2], (Change(name, "A", TTL, (host,)),))
    root = authority.get(".")
    assert root is not None
    _write(folder / "root.key", "".join(f". {TTL} IN DNSKEY {key.dnskey}\n" for key in root.keys))
    hosts = [*(server(s.name) for s in states), *seconds]
    _write(folder / "hints.json", json.dumps(dict.fromkeys(hosts, address), indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    """In one step: others read these files while a server starts again."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(text)
    temporary.replace(path)


def server(zone: str) -> str:
    """Host name of a zone's name server."""
    return "a.root-servers.test." if zone == "." else SERVER.format(zone=zone)


def _zone(authority: Authority, name: str, host: str) -> ZoneState:
    own = server(name)
    inside = name != "." and own.endswith(f".{name}")
    glue = (RecordSet(own, "A", TTL, (host,)),) if inside or name == "." else ()
    spec = ZoneSpec(name, (own,), OWNER, glue, ttl=TTL, negative_ttl=1)
    return authority.get(name) or authority.create(spec)


def _delegate(authority: Authority, child: ZoneState, parent: ZoneState, host: str) -> None:
    ds = tuple(text for key in child.keys if key.active for text in key.ds)
    wanted = (
        Change(child.name, "NS", TTL, (server(child.name),)),
        Change(child.name, "DS", TTL, ds),
        Change(server(child.name), "A", TTL, (host,)),
    )
    _add(authority, parent.name, wanted)


def _add(authority: Authority, zone: str, wanted: Iterable[Change]) -> None:
    """Have the records of `wanted` in a zone that is there."""
    current = authority.get(zone)
    assert current is not None
    known = {(r.name, r.type): set(r.records) for r in current.record_sets}
    # A second DS may be there for a key that is being rolled.
    missing = tuple(c for c in wanted if not known.get((c.name, c.type), set()) >= set(c.records))
    if missing:
        authority.apply(zone, missing)


def _is_above(parent: ZoneState, child: ZoneState) -> bool:
    return parent.name != child.name and (parent.name == "." or child.name.endswith(f".{parent.name}"))
