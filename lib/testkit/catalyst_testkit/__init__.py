"""Test equipment for Catalyst: real servers, conformance suites, waiting with a deadline."""

from .waiting import eventually

__all__ = ["eventually"]
