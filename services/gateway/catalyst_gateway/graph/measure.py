"""How large a query is, found out before anything of it is executed.

Invariants
  spread       what a fragment holds counts wherever it is spread, however deep fragments are in each other;
  cheap        each fragment is measured once: that one is spread a million times costs a multiplication;
  worst case   a list counts as long as its page may be, a directive that leaves a field out counts for nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from catalyst_sdk import Code, Refused
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
)

MOST_DEPTH = 8
MOST_COST = 5000
MOST_ALIASES = 15
PAGE, MOST_PAGE = 20, 100
"""Rows of a page where a query does not say, and at most."""
PAGED_BY = "first"


class QueryTooDeep(Refused):
    code, reason, message = (
        Code.INVALID_ARGUMENT,
        "QUERY_TOO_DEEP",
        "the query is {depth} levels deep, {most} are let through",
    )


class QueryTooCostly(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "QUERY_TOO_COSTLY", "the query costs {cost}, {most} are let through"


class QueryTooManyAliases(Refused):
    code, reason = Code.INVALID_ARGUMENT, "QUERY_ALIASES"
    message = "the query has {aliases} aliases, {most} are let through"


@dataclass(frozen=True, slots=True)
class Size:
    """Levels, cost and aliases of a part of a query."""

    depth: int = 0
    cost: int = 0
    aliases: int = 0

    def beside(self, other: "Size") -> "Size":
        """Of both together."""
        return Size(max(self.depth, other.depth), self.cost + other.cost, self.aliases + other.aliases)


def demand(size: Size) -> None:
    """Let a query pass that is small enough. Raises QueryTooDeep, QueryTooCostly, QueryTooManyAliases."""
    if size.depth > MOST_DEPTH:
        raise QueryTooDeep(depth=size.depth, most=MOST_DEPTH)
    if size.cost > MOST_COST:
        raise QueryTooCostly(cost=_short(size.cost), most=MOST_COST)
    if size.aliases > MOST_ALIASES:
        raise QueryTooManyAliases(aliases=_short(size.aliases), most=MOST_ALIASES)


def _short(number: int) -> str:
    return str(number) if number < 10**9 else "more than 1,000,000,000"


class Measure:
    """Measures one document, which has been found valid: its fragments are no ring."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._measured: dict[str, Size] = {}

    def of(self, operation: OperationDefinitionNode) -> Size:
        """The size of an operation."""
        return self._set(operation.selection_set, self._schema.query_type)

    def _set(self, selections: SelectionSetNode, parent: GraphQLNamedType | None) -> Size:
        whole = Size()
        for one in selections.selections:
            if isinstance(one, FieldNode):
                whole = whole.beside(self._field(one, parent))
            elif isinstance(one, InlineFragmentNode):
                whole = whole.beside(self._set(one.selection_set, self._type(one.type_condition, parent)))
            elif isinstance(one, FragmentSpreadNode):
                whole = whole.beside(self._fragment(one.name.value))
        return whole

    def _fragment(self, name: str) -> Size:
        if name not in self._measured:
            fragment = self._fragments[name]
            self._measured[name] = self._set(fragment.selection_set, self._type(fragment.type_condition, None))
        return self._measured[name]

    def _type(self, condition: Any, parent: GraphQLNamedType | None) -> GraphQLNamedType | None:
        return self._schema.get_type(condition.name.value) if condition is not None else parent

    def _field(self, field: FieldNode, parent: GraphQLNamedType | None) -> Size:
        known = parent.fields.get(field.name.value) if isinstance(parent, GraphQLObjectType) else None
        below = Size()
        if field.selection_set is not None:
            below = self._set(field.selection_set, get_named_type(known.type) if known is not None else None)
        rows = self._rows(field) if known is not None and PAGED_BY in known.args else 1
        if field.name.value.startswith("__"):
            below = Size(0, below.cost, below.aliases)  # the schema about itself is as deep as types are in each other
        return Size(1 + below.depth, 1 + rows * below.cost, bool(field.alias) + below.aliases)

    def _rows(self, field: FieldNode) -> int:
        given: Any = PAGE
        for argument in field.arguments or ():
            if argument.name.value == PAGED_BY:
                value = argument.value
                if isinstance(value, IntValueNode):
                    given = int(value.value[:10])
                elif isinstance(value, VariableNode):
                    given = self._variables.get(value.name.value, MOST_PAGE)
        # What is no number is refused when it is executed; a negative one too.
        return min(given, MOST_PAGE) if isinstance(given, int) and given >= 0 else MOST_PAGE
