"""Where billing keeps its state: one unit of work over its tables."""

from .franchise import Store
from .proving import Proof, proof
from .tables import metadata

__all__ = ["Proof", "Store", "metadata", "proof"]
