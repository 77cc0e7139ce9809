"""Catalyst's custom resources (platform specification, section 5)."""

from .kind import Column, Kind, Rule, Scope
from .kinds import KINDS
from .linting import Violation, lint

__all__ = ["KINDS", "Column", "Kind", "Rule", "Scope", "Violation", "lint"]
