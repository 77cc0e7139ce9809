"""A fencer that takes a region out of a cluster mesh."""
