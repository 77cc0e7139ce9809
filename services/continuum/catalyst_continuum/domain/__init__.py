"""Decisions about leases, without clocks and without I/O."""
