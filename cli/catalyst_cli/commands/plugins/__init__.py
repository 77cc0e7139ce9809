"""Commands about Plugins."""
