"""`catalyst resource …`."""
