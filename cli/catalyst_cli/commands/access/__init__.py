"""Commands about access to clusters."""
