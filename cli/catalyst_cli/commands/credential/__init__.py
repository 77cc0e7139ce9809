"""Commands about credentials."""
