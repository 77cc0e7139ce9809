"""Blueprints from a Git repository."""
