"""Delegations of domains at OVHcloud, through its API."""
