"""`catalyst promotion …`."""
