"""Background work of continuum."""
