"""Decisions about names, without clocks and without I/O."""
