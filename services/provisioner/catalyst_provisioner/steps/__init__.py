"""What the steps of runs do: graphs say which there are, here stands how each is done."""

from .kinds import kinds
from .tools import Tools

__all__ = ["Tools", "kinds"]
