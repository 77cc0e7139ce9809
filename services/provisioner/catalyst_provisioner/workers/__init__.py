"""Background work of the provisioner, besides the journal's own."""
