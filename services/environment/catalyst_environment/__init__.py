"""Organizations, their members and Environments, and what is installed in them."""
