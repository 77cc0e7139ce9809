"""Objects of a cluster whose kind this daemon owns: Continuums."""

from collections.abc import Sequence
from typing import Any

from catalyst_kube import KINDS
from catalyst_kube.daemons import Own, Owned

from ..rpc.elsewhere import HANDED_ON, LOOKING
from .continuums import Continuums

SERVICE = "continuum"
RECONCILES = ("Continuum",)
"""Kinds whose objects this daemon reads, and whose status it writes."""


def owned(service: Any) -> Sequence[Owned]:
    """What this daemon reconciles, over its own ContinuumService. What it does not know itself it asks no other region for."""
    ask = Own(SERVICE, ((HANDED_ON, LOOKING),))
    return (Owned(KINDS["Continuum"], Continuums(ask, service)),)
