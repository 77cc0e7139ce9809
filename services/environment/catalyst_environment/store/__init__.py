"""Tables and SQL; one `Store` is one transaction."""

from .store import Store
from .tables import metadata

__all__ = ["Store", "metadata"]
