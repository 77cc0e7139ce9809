"""Commands about the read model."""
