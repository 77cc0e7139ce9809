"""Commands about Events."""
