"""The table of REST routes, read from the `google.api.http` options of the contracts (AIP-127)."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from google.api import annotations_pb2, http_pb2
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

_VARIABLE = re.compile(r"\{([a-z_.]+)(?:=([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """One way to call one method."""

    verb: str
    template: str
    start: str
    """What each of its paths begins with."""
    expression: str
    """What its paths match. Compiled when a path begins so: all of them together would take a gateway's start a fifth longer."""
    variables: tuple[str, ...]
    body: str
    """`*`: the whole request; a field's name: that field; empty: no body."""
    method: MethodDescriptor
    package: str

    def match(self, path: str) -> re.Match[str] | None:
        """The values of its variables in `path`, one a group; None: it is not one of its paths."""
        return re.fullmatch(self.expression, path) if path.startswith(self.start) else None

    @property
    def rpc(self) -> str:
        """Path of the method on the wire."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"


class Routes:
    """Finds the route of a request."""

    def __init__(self, services: Iterable[ServiceDescriptor]) -> None:
        self.all = [route for service in services for route in _routes(service)]

    def find(self, verb: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The route of `verb` and `path`, with the variables of its path."""
        for route in self.all:
            if route.verb == verb and (match := route.match(path)):
                return route, dict(zip(route.variables, match.groups(), strict=True))
        return None

    def verbs(self, path: str) -> list[str]:
        """The verbs with which `path` can be asked."""
        return sorted({route.verb for route in self.all if route.match(path)})


def _routes(service: ServiceDescriptor) -> Iterator[Route]:
    package = service.file.package.split(".")[1]
    for method in service.methods:
        if method.GetOptions().HasExtension(annotations_pb2.http):
            rule = method.GetOptions().Extensions[annotations_pb2.http]
            for one in (rule, *rule.additional_bindings):
                yield _route(one, method, package)


def _route(rule: http_pb2.HttpRule, method: MethodDescriptor, package: str) -> Route:
    verb = str(rule.WhichOneof("pattern"))
    template = str(getattr(rule, verb))
    names, pattern, at = [], "", 0
    for found in _VARIABLE.finditer(template):
        names.append(found[1])
        pattern += re.escape(template[at : found.start()]) + f"({_segments(found[2] or '*')})"
        at = found.end()
    pattern += re.escape(template[at:])
    start = _VARIABLE.sub(lambda found: found[2] or "*", template).partition("*")[0]
    return Route(verb.upper(), template, start, pattern, tuple(names), rule.body, method, package)


def _segments(value: str) -> str:
    """`pools/*/allocations/*` as a pattern; `*` is one segment, `**` any number."""
    parts = {"*": "[^/:]+", "**": ".+"}
    return "/".join(parts.get(segment, re.escape(segment)) for segment in value.split("/"))
