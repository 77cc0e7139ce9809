"""Name servers of domains at Namecheap, through its API."""
