"""Conformance suites and real servers for what a move of a slot acts upon."""
