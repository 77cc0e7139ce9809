"""Delegations of domains at Dynadot, through its API."""
