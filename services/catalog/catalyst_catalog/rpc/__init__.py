"""Proto in, domain, proto out."""
