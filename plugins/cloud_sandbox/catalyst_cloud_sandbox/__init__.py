"""A simulated cloud: its resources are rows, its clusters are real processes. Imports nothing, for the agent's sake."""
