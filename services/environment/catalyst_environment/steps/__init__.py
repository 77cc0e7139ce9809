"""Steps of runs. Each may be entered again after a crash, and finds what it did before."""

from .applications import CHANGE, INSTALL, PROMOTE, UNINSTALL, Applications
from .organizations import CREATE, DELETE, Organizations

__all__ = ["CHANGE", "CREATE", "DELETE", "INSTALL", "PROMOTE", "UNINSTALL", "Applications", "Organizations"]
