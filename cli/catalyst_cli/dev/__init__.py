"""`catalyst dev`: a whole Sovereign factory in one terminal, without root and without containers."""
