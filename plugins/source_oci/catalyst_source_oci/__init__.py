"""Blueprints from an index in an OCI registry."""
