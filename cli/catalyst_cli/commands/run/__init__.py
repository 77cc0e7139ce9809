"""Commands about Runs."""
