"""Commands about money: what is paid, billed, used and shared."""
