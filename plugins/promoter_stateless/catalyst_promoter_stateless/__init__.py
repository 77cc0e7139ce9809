"""A promoter for applications that keep nothing."""
