"""Data that ships with this release."""

import importlib.resources
import json

from ..domain.slugs import Reserved


def reserved() -> Reserved:
    """Names that no Organization may have."""
    read = json.loads((importlib.resources.files(__package__) / "reserved.json").read_text())
    return Reserved(frozenset(read["words"]) | frozenset(read["codes"]), tuple(read["prefixes"]))
