"""Where billing keeps its state: one unit of work over its tables."""

from .books import Proof, proof
from .franchise import Store
from .tables import metadata

__all__ = ["Proof", "Store", "metadata", "proof"]
