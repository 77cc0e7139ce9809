"""`catalyst catalog …`: where Blueprints come from, and what is decided about them."""
