"""The phases of a run: what is done in each, and how its end is observed."""
