"""Commands about money: accounts, vouchers, orders, the book, payment providers."""
