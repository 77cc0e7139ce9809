"""Blueprints that are objects of a cluster."""
