"""Manifest bytes to a plain document: YAML with the booleans of YAML 1.2, bounded, without surprises.

Refused: other than UTF-8, NUL, more than 256 KiB, several documents, duplicate keys, anchors that expand past 10 000
nodes, more than 100 levels, anything that is not a mapping. Every fault names its line where there is one.

libyaml reads, which takes a tenth of the time. It follows nesting on the stack of C, where too much ends the process: so
the depth is looked at first, event by event, which needs no stack.
"""

import math
import re
from collections.abc import Hashable
from typing import Any

import yaml

Document = dict[str, Any]
LARGEST = 256 * 1024
MOST_NODES = 10_000
DEEPEST = 100
"""Levels of nesting."""


class Unreadable(ValueError):
    """The bytes are no usable document; `line` counts from 1, 0 = unknown."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why if not line else f"line {line}: {why}")
        self.line = line


class _Loader(yaml.CSafeLoader):
    """YAML 1.1's loader, but `on`, `off`, `yes`, `no` are words, and dates stay text."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        seen: set[str] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise Unreadable("a key must be text", key.start_mark.line + 1)
            if name in seen:
                raise Unreadable(f"key {name} stands twice", key.start_mark.line + 1)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        number: float = super().construct_yaml_float(node)
        if not math.isfinite(number):
            raise Unreadable("numbers are finite", node.start_mark.line + 1)  # JSON has no others
        return number


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
_Loader.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in rules if not tag.endswith((":bool", ":timestamp"))]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read(content: bytes) -> Document:
    """Parse one document. Raises Unreadable."""
    if len(content) > LARGEST:
        raise Unreadable(f"{len(content)} bytes, the limit is {LARGEST}")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8", content[: error.start].count(b"\n") + 1) from error
    if "\0" in text:
        raise Unreadable("NUL", text[: text.index("\0")].count("\n") + 1)
    document = _load(text)
    if not isinstance(document, dict):
        raise Unreadable("not a mapping", 1)
    return document


def _load(text: str) -> Any:
    loader: _Loader | None = None
    try:
        _fathom(text)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node)
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise Unreadable(error.problem or "not YAML", mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise error if isinstance(error, Unreadable) else Unreadable("not YAML") from error
    finally:
        if loader is not None:
            loader.dispose()


def _fathom(text: str) -> None:
    """Refuse what is nested too deeply; stops there, so a bomb costs no more than that."""
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                mark = event.start_mark
                raise Unreadable(f"nested more than {DEEPEST} deep", mark.line + 1 if mark else 0)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _measure(root: yaml.Node) -> None:
    """Count nodes as if every alias were written out; stops at the limit, so a bomb costs no more than that."""
    left, open_nodes = MOST_NODES, [root]
    while open_nodes:
        node = open_nodes.pop()
        left -= 1
        if left < 0:
            raise Unreadable(f"more than {MOST_NODES} nodes", root.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            open_nodes.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                open_nodes += (key, value)
