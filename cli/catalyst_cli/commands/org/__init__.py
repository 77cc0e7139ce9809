"""`catalyst org …`."""
