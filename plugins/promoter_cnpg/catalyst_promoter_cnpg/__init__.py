"""A promoter for CloudNativePG clusters in a distributed topology."""
