"""A lease witness over HTTP: Durable Objects, and whatever else writes conditionally and is linearizable."""
