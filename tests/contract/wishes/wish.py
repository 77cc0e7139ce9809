"""How a request is made."""

from collections.abc import Awaitable, Callable
from typing import Any

from ..mesh import Mesh

Wish = Callable[[Mesh], Awaitable[Any]]
