"""What plans are built from: all that was read for one, and what is wanted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from catalyst_sdk.cloud import Finding, InfraPlan, LedgerRow

from .locks import Lock
from .wishes import Document, Wish


@dataclass(frozen=True, slots=True)
class Held:
    """A row of the ledger as a plan needs it."""

    cluster: str
    row: LedgerRow
    manager: str = ""
    """Who keeps it; empty: the plugin of its provider."""


@dataclass(frozen=True, slots=True)
class Found:
    """A finding, and the offers that would do instead."""

    finding: Finding
    cluster: str = ""
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """All that was read for a plan."""

    sovereign: str
    generation: int
    ledger_revision: int
    currency: str
    held: tuple[Held, ...] = ()
    installed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Version by component by cluster, as last applied."""
    module_digests: Mapping[str, str] = field(default_factory=dict)
    """Digest of the infrastructure module by provider; a native plugin has none."""
    versions: Mapping[str, str] = field(default_factory=dict)
    offers_digests: Mapping[str, str] = field(default_factory=dict)
    release: str = ""
    """Channel and digest of what it holds; empty: nobody has said what channels hold."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be, as far as it could be worked out."""

    document: Document
    wish: Wish
    lock: Lock
    infra: Mapping[str, InfraPlan]
    spec_applied: bool
    """Whether the last successful run made this very spec true."""
    removed: tuple[str, ...] = ()
    """Clusters that are there and are not wished any more."""
    rising: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Versions of k3s before and after, of clusters in which it changes."""
    handing: tuple[str, ...] = ()
    """Clusters that Crossplane gets at the end."""
    tended: tuple[Mapping[str, Any], ...] = ()
    """Work on single nodes, see `tending`."""
    risks: Sequence[Mapping[str, Any]] = ()
    """Of that work."""
