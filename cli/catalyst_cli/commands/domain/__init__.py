"""Commands about domains that move to our servers."""
