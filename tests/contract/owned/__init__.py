"""Something that belongs to an Organization, for every served method in which one may own anything; a module a daemon."""

from collections.abc import Mapping

from . import billing, catalog, continuum, pooldomain, provisioner
from .thing import Make, Owned

OWNED: Mapping[str, Make] = billing.OWNED | catalog.OWNED | continuum.OWNED | pooldomain.OWNED | provisioner.OWNED
"""What is asked of each method; one that several daemons serve has the daemon before it."""

__all__ = ["OWNED", "Make", "Owned"]
