"""The whole mesh on one machine, and what may be done to its parts."""
