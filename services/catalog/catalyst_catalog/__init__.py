"""The daemon that knows what can be installed, and what it needs."""
