"""Objects of a cluster whose kind this daemon owns: Blueprints, which come into the catalogue as the source `cluster`."""

from collections.abc import Mapping, Sequence
from typing import Any

from catalyst_kube import KINDS
from catalyst_kube.daemons import Own, Owned

from .blueprints import Blueprints

SERVICE = "catalog"
RECONCILES = ("Blueprint",)
"""Kinds whose objects this daemon reads, and whose status it writes."""


def owned(servicers: Mapping[str, Any], source: str) -> Sequence[Owned]:
    """What this daemon reconciles, over its own servicers by their short names; `source` is the name of the cluster's."""
    made = Blueprints(Own(SERVICE), servicers["CatalogService"], servicers["SourceService"], source)
    # An object that goes is missed by the next sync, which withdraws what came of it: nothing needs to be noted.
    return (Owned(KINDS["Blueprint"], made, is_noted=False),)
