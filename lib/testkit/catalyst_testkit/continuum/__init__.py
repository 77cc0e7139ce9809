"""Suites and real parts for what a move of a slot acts upon."""
