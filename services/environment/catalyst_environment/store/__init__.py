"""Tables and SQL; one `Store` is one transaction."""

from .store import Store
from .tables import metadata
from .webhooks import rules

__all__ = ["Store", "metadata", "rules"]
