"""The demonstration: a Sovereign comes to be, is proved from outside, and goes without a trace."""
