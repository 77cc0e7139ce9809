"""Delegations of names below a zone at Cloudflare, through its API."""
