"""Name servers of domains at GoDaddy, through its API."""
