"""Something that belongs to an Organization, for every served method in which one may own anything; a module a daemon."""

from collections.abc import Mapping

from . import billing, catalog, continuum, environment, pooldomain, provisioner
from .thing import Make, Owned

_ALL = (billing, catalog, continuum, environment, pooldomain, provisioner)
OWNED: Mapping[str, Make] = {method: make for one in _ALL for method, make in one.OWNED.items()}
"""What is asked of each method; one that several daemons serve has the daemon before it."""

__all__ = ["OWNED", "Make", "Owned"]
