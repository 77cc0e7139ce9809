"""Background work of PDM: what makes the world match the wish."""
