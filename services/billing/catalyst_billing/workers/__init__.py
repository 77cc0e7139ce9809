"""What billing does beside its calls: each worker is a loop over what is due, under a lease."""
