"""PDM's contracts, service by service."""
