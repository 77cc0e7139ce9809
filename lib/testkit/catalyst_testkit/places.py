"""A database of places for servers that answer by distance: networks with their positions, in the MMDB format 2.0.

source   the format's own description (MaxMind DB File Format Specification): a search tree over the bits of an address,
         sixteen zero octets, data, and metadata behind a mark
"""

import ipaddress
import struct
from collections.abc import Mapping

Position = tuple[float, float]
"""Latitude and longitude."""
_MARK = b"\xab\xcd\xefMaxMind.com"
_RECORD = 24
"""Bits of one of a node's two records."""
_GAP = 16
_MAP, _TEXT, _DOUBLE, _SHORT, _LONG, _ARRAY, _LONGER = 7, 2, 3, 5, 6, 11, 9


def database(places: Mapping[str, Position], *, epoch: int = 1_700_000_000) -> bytes:
    """Networks of IPv4, `192.0.2.0/24`, each at its position; none inside of another."""
    nodes: list[list[int | Position | None]] = [[None, None]]
    for network, position in places.items():
        _plant(nodes, ipaddress.IPv4Network(network), position)
    data, at = b"", dict[Position, int]()
    for position in dict.fromkeys(places.values()):
        at[position] = len(data)
        data += _located(position)
    tree = b"".join(_record(child, len(nodes), at) for node in nodes for child in node)
    return tree + bytes(_GAP) + data + _MARK + _metadata(len(nodes), epoch)


def _plant(nodes: list[list[int | Position | None]], network: ipaddress.IPv4Network, position: Position) -> None:
    bits = f"{int(network.network_address):032b}"[: network.prefixlen]
    here = 0
    for bit in map(int, bits[:-1]):
        known = nodes[here][bit]
        if not isinstance(known, int):
            known = nodes[here][bit] = len(nodes)
            nodes.append([None, None])
        here = known
    nodes[here][int(bits[-1])] = position


def _record(child: int | Position | None, count: int, at: Mapping[Position, int]) -> bytes:
    if not isinstance(child, int):
        child = count if child is None else count + _GAP + at[child]
    return child.to_bytes(_RECORD // 8, "big")


def _located(position: Position) -> bytes:
    latitude, longitude = position
    where = {"latitude": _double(latitude), "longitude": _double(longitude), "accuracy_radius": _whole(_SHORT, 10)}
    return _map({"location": _map(where)})


def _metadata(nodes: int, epoch: int) -> bytes:
    return _map({
        "node_count": _whole(_LONG, nodes), "record_size": _whole(_SHORT, _RECORD), "ip_version": _whole(_SHORT, 4),
        "database_type": _text("Test-City"), "languages": _head(_ARRAY, 1) + _text("en"),
        "binary_format_major_version": _whole(_SHORT, 2), "binary_format_minor_version": _whole(_SHORT, 0),
        "build_epoch": _whole(_LONGER, epoch), "description": _map({"en": _text("places of a test")}),
    })  # fmt: skip


def _map(fields: Mapping[str, bytes]) -> bytes:
    return _head(_MAP, len(fields)) + b"".join(_text(name) + value for name, value in fields.items())


def _text(text: str) -> bytes:
    octets = text.encode()
    return _head(_TEXT, len(octets)) + octets


def _double(number: float) -> bytes:
    return _head(_DOUBLE, 8) + struct.pack(">d", number)


def _whole(kind: int, number: int) -> bytes:
    octets = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return _head(kind, len(octets)) + octets


def _head(kind: int, size: int) -> bytes:
    """A kind above 7 stands in an octet of its own; all sizes here are below 29."""
    return bytes([kind << 5 | size]) if kind <= _MAP else bytes([size, kind - _MAP])
