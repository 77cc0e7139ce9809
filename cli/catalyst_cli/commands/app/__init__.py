"""`catalyst app …`."""
