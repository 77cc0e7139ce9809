"""Commands on what decides which region may write."""
