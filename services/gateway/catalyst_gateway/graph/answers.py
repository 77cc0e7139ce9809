"""GraphQL over HTTP: documents by POST, kept ones by GET and their digest."""

import asyncio
import hashlib
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from catalyst_mesh import Caller, Work, get_logger
from catalyst_mesh.errors import Explained
from catalyst_mesh.interceptor import Internal
from catalyst_sdk import Code, Refused
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, get_operation_ast, parse, validate
from litestar import Response

from .. import problems
from ..store import Store
from ..transcode import BodyUnreadable, object_of
from .measure import Measure, demand
from .reads import Reads
from .schema import make

MOST_BYTES = 64 * 1024
MOST_TOKENS = 2000
PATIENCE = 10.0
"""Seconds that a query may take."""


class QueryInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "QUERY_INVALID", "the query is none of this schema: {why}"


class QueryTooLarge(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "QUERY_TOO_LARGE", "the query has more than {most} {what}"


class QueryNotKept(Refused):
    code, reason, message = Code.NOT_FOUND, "QUERY_NOT_KEPT", "no query is kept under {id}; send a document by POST"


class QueryTooSlow(Refused):
    code, reason, message = Code.DEADLINE_EXCEEDED, "QUERY_TOO_SLOW", "the query took longer than {seconds} s"


class Graph:
    """Answers queries."""

    def __init__(self, work: Work[Store], *, patience: float = PATIENCE) -> None:
        self._work = work
        self._patience = patience
        self.schema = make()
        self._kept = kept_queries()
        self._log = get_logger("graphql")

    async def posted(self, person: Caller, body: bytes, trace_id: str) -> Response[bytes]:
        """A document, or the id of a kept one."""
        wish = object_of(body)
        if strange := set(wish) - {"query", "id", "variables", "operationName", "extensions"}:
            raise BodyUnreadable(why=f"there is no field {', '.join(sorted(strange))[:100]}")
        text = wish.get("query")
        if text is None:
            text = self.kept(str(wish.get("id", "")))
        variables = wish.get("variables") or {}
        if not (isinstance(text, str) and isinstance(variables, dict)):
            raise BodyUnreadable(why="query is a text, variables an object")
        return await self.answer(person, text, variables, wish.get("operationName"), trace_id)

    def kept(self, digest: str) -> str:
        """The document of a kept query. Raises QueryNotKept."""
        if digest not in self._kept:
            raise QueryNotKept(id=digest[:80])
        return self._kept[digest]

    async def answer(
        self, person: Caller, text: str, variables: Mapping[str, Any], name: object, trace_id: str
    ) -> Response[bytes]:
        """What a query comes to. Raises what is wrong with it as a whole, before anything of it is executed."""
        operation_name = name if isinstance(name, str) else None
        self._demand(text, variables, operation_name)
        try:
            async with asyncio.timeout(self._patience):
                result = await self.schema.execute(
                    text,
                    variable_values=dict(variables),
                    context_value=Reads(self._work, person),
                    operation_name=operation_name,
                )
        except TimeoutError:
            raise QueryTooSlow(seconds=self._patience) from None
        answer: dict[str, Any] = {"data": result.data}
        if result.errors:
            answer["errors"] = [self._shown(error, trace_id) for error in result.errors]
        return Response(json.dumps(answer).encode(), media_type="application/json", status_code=200)

    def _demand(self, text: str, variables: Mapping[str, Any], name: str | None) -> None:
        if len(text.encode(errors="surrogatepass")) > MOST_BYTES:
            raise QueryTooLarge(most=MOST_BYTES, what="bytes")
        document = _parsed(text)
        schema = self.schema._schema
        if faults := validate(schema, document, max_errors=5):
            raise QueryInvalid(why="; ".join(fault.message for fault in faults)[:500])
        operation = get_operation_ast(document, name)
        if not isinstance(operation, OperationDefinitionNode):
            raise QueryInvalid(why="it has several operations; name one of them in operationName")
        demand(Measure(schema, document, variables).of(operation))

    def _shown(self, error: GraphQLError, trace_id: str) -> dict[str, Any]:
        """An error of one field: what REST would refuse it with; a bug only by its trace."""
        told = error.formatted
        why = self._why(error, trace_id)
        extensions = {"code": why.code, "reason": why.reason, "metadata": dict(why.metadata), "traceId": trace_id}
        path = {"path": told["path"]} if "path" in told else {}
        return {"message": why.message, **path, "extensions": extensions}

    def _why(self, error: GraphQLError, trace_id: str) -> Explained:
        cause = error.original_error
        if isinstance(cause, Refused):
            return problems.of_refusal(cause)
        if cause is None or isinstance(cause, GraphQLError):
            return problems.of_refusal(QueryInvalid(why=error.message[:500]))
        self._log.error("bug", exc_info=cause, trace=trace_id)
        return problems.of_refusal(Internal(trace_id=trace_id))


def _parsed(text: str) -> DocumentNode:
    try:
        return parse(text, max_tokens=MOST_TOKENS)
    except GraphQLError as error:
        if "max_tokens" in str(error) or f"{MOST_TOKENS} tokens" in str(error):
            raise QueryTooLarge(most=MOST_TOKENS, what="tokens") from error
        raise QueryInvalid(why=error.message[:500]) from error
    except RecursionError as error:
        raise QueryInvalid(why="it is nested too deep to be read") from error


def kept_queries() -> dict[str, str]:
    """Queries that may be asked for by GET, by the SHA-256 of their text: those that stand beside this module."""
    folder = importlib.resources.files("catalyst_gateway") / "graph" / "queries"
    texts = [file.read_text() for file in folder.iterdir() if file.name.endswith(".graphql")]
    return {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
