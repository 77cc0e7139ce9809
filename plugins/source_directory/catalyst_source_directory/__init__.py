"""Blueprints from a folder of this machine."""
