"""Commands about Sovereigns."""
