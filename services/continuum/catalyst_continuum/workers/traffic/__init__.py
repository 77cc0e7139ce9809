"""Drivers that lead a slot's names to its holder, one a file; contract `catalyst_sdk.continuum.Traffic`."""
