"""Commands about pools of names."""
