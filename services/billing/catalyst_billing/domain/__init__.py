"""What billing decides. Pure: no await, no clock, no input or output, no protobuf."""
