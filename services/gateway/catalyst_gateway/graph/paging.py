"""How lists are asked for, and how they go on: as in REST, whose page tokens are the cursors."""

# mypy: disable-error-code="untyped-decorator"
# strawberry.field has overloads that the checker takes for untyped where it decorates a method with a description.

from typing import Annotated

import strawberry

from .reads import Reads

Info = strawberry.Info[Reads, None]
First = Annotated[int, strawberry.argument(description="Rows of the page; 0: 20, above 100: 100, negative: refused.")]
After = Annotated[str, strawberry.argument(description="Token of an earlier page, as in REST. Empty: from the start.")]


@strawberry.type(description="Where a list goes on.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether there is more.")
    end_cursor: str = strawberry.field(description="Token of the next page; empty at the end.")


def page_info(token: str) -> PageInfo:
    """Where the list goes on whose next page is at `token`."""
    return PageInfo(has_next_page=bool(token), end_cursor=token)
