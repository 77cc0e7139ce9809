"""What Organizations, Environments and Applications are, and how they may change. Nothing here does anything."""
