"""`catalyst webhook …`."""
