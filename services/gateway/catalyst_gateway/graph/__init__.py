"""The GraphQL read API (platform.md, section 10): queries over the read model, and nothing that changes anything.

Loaded by the first request that needs it: its library costs an idle gateway memory.
"""
