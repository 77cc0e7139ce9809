"""`catalyst env …`."""
