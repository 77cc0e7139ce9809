"""The provisioner: Sovereigns, their plans and runs, what exists of them, and the trees that their clusters pull."""
