"""Zones on a PowerDNS Authoritative Server, through its HTTP API."""
