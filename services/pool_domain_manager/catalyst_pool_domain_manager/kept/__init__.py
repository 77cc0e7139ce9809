"""What is kept of zones, plans, imports, drifts, backends and name-server sets; `store.Store` is made of these."""
