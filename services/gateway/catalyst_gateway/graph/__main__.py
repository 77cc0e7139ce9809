"""Prints the schema: `python -m catalyst_gateway.graph > docs/reference/schema.graphql`."""

from .schema import make

print(make().as_str())  # noqa: T201 - this is what was asked for
