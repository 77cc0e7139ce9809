"""The sandbox agent: one process is one simulated cluster. It really listens, dials home, pulls its tree and dies."""
