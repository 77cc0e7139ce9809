"""Commands about Names."""
