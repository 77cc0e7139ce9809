"""`catalyst blueprint …`: what can be installed, and what it needs."""
