"""Commands about money: accounts, vouchers, orders, the book, providers; what is paid, billed, used and shared."""
