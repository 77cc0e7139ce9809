"""Commands about registrars and the accounts at them."""
