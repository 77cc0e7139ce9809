"""Background work of the catalogue."""
