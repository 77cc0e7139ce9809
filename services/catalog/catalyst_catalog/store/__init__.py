"""Tables and SQL. Whatever reads Blueprints goes through `visible`, so that no question can forget who asks."""

from .pictures import Picture, Pictures
from .store import Store
from .tables import metadata
from .viewers import Viewer

__all__ = ["Picture", "Pictures", "Store", "Viewer", "metadata"]
