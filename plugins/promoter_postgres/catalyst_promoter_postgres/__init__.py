"""A promoter for PostgreSQL servers that stream from one region to others."""
