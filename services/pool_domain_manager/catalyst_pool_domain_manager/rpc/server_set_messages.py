"""Name-server sets, between the contract's messages and the domain's values."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import uuid4

from catalyst.pooldomain.v1 import resources_pb2
from catalyst_mesh import stamp

from catalyst_pool_domain_manager.domain.server_sets import Endpoint, Glue, ServerSet, host

from .messages import etag


def to_set(s: ServerSet) -> resources_pb2.NameServerSet:
    """A set; host names without their final dot."""
    return resources_pb2.NameServerSet(
        name=s.name, published=[_plain(name) for name in s.published], polled=_endpoints(s.polled),
        targets=_endpoints(s.targets), also_notify=_endpoints(s.also_notify),
        glue=[resources_pb2.Glue(host=_plain(g.host), addresses=g.addresses) for g in s.glue],
        uid=s.uid, etag=etag(s.version), version=s.version, create_time=stamp(s.created_at),
        update_time=stamp(s.updated_at),
    )  # fmt: skip


def from_set(id: str, wish: resources_pb2.NameServerSet, now: datetime) -> ServerSet:
    """A new set."""
    return ServerSet(
        id, str(uuid4()), published(wish), _hosts(wish.polled), now, now, _hosts(wish.targets),
        _hosts(wish.also_notify), glue(wish),
    )  # fmt: skip


def changed(s: ServerSet, wish: resources_pb2.NameServerSet, fields: Iterable[str]) -> dict[str, Any]:
    """What a set's fields become."""
    read = {
        "published": published(wish), "polled": _hosts(wish.polled), "targets": _hosts(wish.targets),
        "also_notify": _hosts(wish.also_notify), "glue": glue(wish),
    }  # fmt: skip
    return {name: read[name] for name in fields}


def published(wish: resources_pb2.NameServerSet) -> tuple[str, ...]:
    return tuple(host(name) for name in wish.published)


def glue(wish: resources_pb2.NameServerSet) -> tuple[Glue, ...]:
    return tuple(Glue(host(g.host), tuple(g.addresses)) for g in wish.glue)


def _hosts(raw: Iterable[resources_pb2.NameServerEndpoint]) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(host(e.host), tuple(e.addresses), e.port) for e in raw)


def _endpoints(known: Iterable[Endpoint]) -> list[resources_pb2.NameServerEndpoint]:
    return [
        resources_pb2.NameServerEndpoint(host=_plain(e.host), addresses=e.addresses, port=e.port) for e in known
    ]  # fmt: skip


def _plain(name: str) -> str:
    return name.rstrip(".")
