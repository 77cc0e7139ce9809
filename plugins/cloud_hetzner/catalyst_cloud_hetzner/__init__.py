"""Clusters at Hetzner Cloud, made by OpenTofu or Terraform."""
