"""Addresses in settings: a wrong one is told at the start, and by the chart before anything is sent."""

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, Field

_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"


def _network(text: str) -> str:
    """`text`, if it is a network, without bits of a host. Raises ValueError."""
    ip_network(text)
    return text


Url = Annotated[str, Field(pattern=r"^$|^https?://[^\s/?#]+(/[^\s]*)?$")]
"""`https://host:port/path`, or empty."""
Origin = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+$")]
"""What a browser says of a page: `https://host:port`, without a slash at its end."""
_V4 = r"[0-9.]+:[0-9]{1,5}"
_V6 = r"\[[0-9a-fA-F:.]+\]:[0-9]{1,5}"
Target = Annotated[
    str,
    Field(
        pattern=rf"^$|^([^\s/:]+:[0-9]{{1,5}}|{_V6})$|^dns:///([^\s/:]+:[0-9]{{1,5}})$|^ipv4:{_V4}(,{_V4})*$|^ipv6:{_V6}(,{_V6})*$"
    ),
]
"""`host:port`, all replicas of a daemon as gRPC names them (`ipv4:host:port,host:port`, `dns:///host:port`), or empty.
https://grpc.github.io/grpc/core/md_doc_naming.html"""
# The pattern is for whoever judges without us (the chart's schema); it knows the fourth version whole and the sixth by its look.
Network = Annotated[
    str,
    Field(
        pattern=rf"^({_OCTET}(\.{_OCTET}){{3}}(/([0-9]|[12][0-9]|3[0-2]))?|[0-9a-fA-F:]*:[0-9a-fA-F:.]*(/[0-9]{{1,3}})?)$"
    ),
    AfterValidator(_network),
]
"""`203.0.113.0/24`, or one address."""


def apart(listen: str) -> tuple[str, int]:
    """Host and port of `host:port`, as sockets want them: `[::]:7400` is `::` and 7400."""
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)


def together(host: str, port: int) -> str:
    """`host:port`, a host of the sixth version in its brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
