"""Documents for people: pure functions of a finalised invoice, the same bytes each time."""

from .html import html
from .pdf import pdf

__all__ = ["html", "pdf"]
