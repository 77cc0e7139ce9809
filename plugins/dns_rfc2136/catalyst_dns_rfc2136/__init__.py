"""Zones on any server that takes signed dynamic updates (RFC 2136)."""
