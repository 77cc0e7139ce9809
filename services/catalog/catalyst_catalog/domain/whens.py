"""The closed language of `when`: may this edge of the graph be followed?

Literals (string, integer, true, false, null, list), paths under `config.`, `application.`, `environment.`, the operators
`== != < <= > >= in and or not ( )`. No calls, no indexing, no arithmetic. A path that leads nowhere is null. Equality of
unlike types is false; ordering of unlike types is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .refusals import WhenInvalid, WhenTypeMismatch

LONGEST = 256
DEEPEST = 16
ROOTS = ("config", "application", "environment")
_WORDS = {"and", "or", "not", "in", "true", "false", "null"}
_CONSTANTS: Mapping[str, bool | None] = {"true": True, "false": False, "null": None}
_TOKEN = re.compile(
    r"\s*(?:(?P<string>'[^'\n]*'|\"[^\"\n]*\")|(?P<integer>-?\d{1,18}(?![\w.]))"
    r"|(?P<word>[A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)|(?P<sign>==|!=|<=|>=|<|>|\(|\)|\[|\]|,))"
)


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class Path:
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """An operator with its operands; `not` has one, `list` any number."""

    operator: str
    operands: tuple["Node", ...]


Node = Literal | Path | Term


@dataclass(frozen=True, slots=True)
class When:
    """A parsed condition."""

    text: str
    root: Node

    def holds(self, scope: Mapping[str, Any]) -> bool:
        """Whether it is true under `scope`; null is false. Raises WhenTypeMismatch."""
        return _truth(self.text, "when", _value(self.text, self.root, scope))

    def paths(self) -> tuple[str, ...]:
        """The paths that it reads, so that a linter can look for them in the schema."""
        return tuple(sorted({".".join(node.steps) for node in _walk(self.root) if isinstance(node, Path)}))


def parse(text: str) -> When:
    """Understand a condition. Raises WhenInvalid with the column, counted from 1."""
    if len(text) > LONGEST:
        raise WhenInvalid(column=LONGEST + 1, why=f"longer than {LONGEST} characters")
    reader = _Reader(text)
    root = reader.alternative(0)
    reader.expect_end()
    return When(text, root)


class _Reader:
    """Recursive descent: or, and, not, comparison, operand."""

    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._end = len(text) + 1

    def alternative(self, depth: int) -> Node:
        return self._chain("or", self._conjunction, depth)

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise self._fault("an operator or the end is expected")

    def _chain(self, word: str, part: Any, depth: int) -> Node:
        operands = [part(depth)]
        while self._take("word", word):
            operands.append(part(depth))
        return operands[0] if len(operands) == 1 else Term(word, tuple(operands))

    def _conjunction(self, depth: int) -> Node:
        return self._chain("and", self._negation, depth)

    def _negation(self, depth: int) -> Node:
        if self._take("word", "not"):
            return Term("not", (self._negation(self._deeper(depth)),))
        return self._comparison(depth)

    def _comparison(self, depth: int) -> Node:
        left = self._operand(depth)
        for sign in ("==", "!=", "<=", ">=", "<", ">"):
            if self._take("sign", sign):
                return Term(sign, (left, self._operand(depth)))
        if self._take("word", "in"):
            return Term("in", (left, self._operand(depth)))
        return left

    def _operand(self, depth: int) -> Node:
        if self._take("sign", "("):
            inner = self.alternative(self._deeper(depth))
            self._close(")")
            return inner
        if self._take("sign", "["):
            return self._list(self._deeper(depth))
        return self._atom()

    def _list(self, depth: int) -> Node:
        items: list[Node] = []
        while not self._take("sign", "]"):
            if items:
                self._close(",")
            items.append(self._operand(depth))
        return Term("list", tuple(items))

    def _atom(self) -> Node:
        kind, text, _ = self._next()
        if kind == "string":
            return Literal(text[1:-1])
        if kind == "integer":
            return Literal(int(text))
        if kind == "word" and text in _CONSTANTS:
            return Literal(_CONSTANTS[text])
        if kind == "word" and text not in _WORDS:
            return self._path(text)
        self._at -= 1
        raise self._fault("a value is expected")

    def _path(self, text: str) -> Node:
        steps = tuple(text.split("."))
        if steps[0] not in ROOTS or len(steps) < 2:
            self._at -= 1
            raise self._fault(f"a path begins with {', '.join(f'{root}.' for root in ROOTS)}")
        return Path(steps)

    def _next(self) -> tuple[str, str, int]:
        if self._at >= len(self._tokens):
            raise self._fault("a value is expected")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, kind: str, text: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at][:2] == (kind, text)
        self._at += found
        return found

    def _close(self, sign: str) -> None:
        if not self._take("sign", sign):
            raise self._fault(f"{sign} is expected")

    def _deeper(self, depth: int) -> int:
        if depth >= DEEPEST:
            self._at -= 1
            raise self._fault(f"nested deeper than {DEEPEST}")
        return depth + 1

    def _fault(self, why: str) -> WhenInvalid:
        column = self._tokens[self._at][2] if self._at < len(self._tokens) else self._end
        return WhenInvalid(column=column, why=why)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            raise WhenInvalid(column=column, why="no such sign")
        kind = found.lastgroup or ""
        yield kind, found[kind], found.start(kind) + 1
        at = found.end()


def _walk(node: Node) -> Iterator[Node]:
    yield node
    if isinstance(node, Term):
        for operand in node.operands:
            yield from _walk(operand)


def _value(text: str, node: Node, scope: Mapping[str, Any]) -> Any:
    match node:
        case Literal(value):
            return value
        case Path(steps):
            return look_up(scope, steps)
        case Term("list", items):
            return [_value(text, item, scope) for item in items]
        case Term("and", operands):
            return all(_truth(text, "and", _value(text, operand, scope)) for operand in operands)
        case Term("or", operands):
            return any(_truth(text, "or", _value(text, operand, scope)) for operand in operands)
        case Term("not", (operand,)):
            return not _truth(text, "not", _value(text, operand, scope))
        case Term(operator, (left, right)):
            return _compare(text, operator, _value(text, left, scope), _value(text, right, scope))
    raise AssertionError(f"{node} is no node of the grammar")


def look_up(scope: Any, steps: tuple[str, ...]) -> Any:
    """The value at a path of mappings; None where it leads nowhere."""
    for step in steps:
        if not isinstance(scope, Mapping):
            return None
        scope = scope.get(step)
    return scope


def _compare(text: str, operator: str, left: Any, right: Any) -> bool:
    if operator == "==":
        return _same(left, right)
    if operator == "!=":
        return not _same(left, right)
    if operator == "in":
        if not isinstance(right, list):
            raise _mismatch(text, operator, left, right)
        return any(_same(left, item) for item in right)
    if not (_is_number(left) and _is_number(right)) and not (isinstance(left, str) and isinstance(right, str)):
        raise _mismatch(text, operator, left, right)
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator])


def _same(left: Any, right: Any) -> bool:
    # To Python True equals 1; here a boolean is never a number.
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def _truth(text: str, operator: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    raise WhenTypeMismatch(when=text, operator=operator, left=_kind(value), right="boolean")


def _mismatch(text: str, operator: str, left: Any, right: Any) -> WhenTypeMismatch:
    return WhenTypeMismatch(when=text, operator=operator, left=_kind(left), right=_kind(right))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if _is_number(value):
        return "number"
    return "string" if isinstance(value, str) else "list" if isinstance(value, list) else "object"
