"""A lease witness over DNS servers that take RFC 2136 updates."""
