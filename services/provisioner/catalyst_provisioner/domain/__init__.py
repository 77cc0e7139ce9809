"""Decisions of the provisioner. Pure: no clock, no I/O, no protobuf."""
