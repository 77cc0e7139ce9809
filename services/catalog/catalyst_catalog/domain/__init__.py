"""Decisions of the catalogue: pure, without clock, I/O or protobuf.

`documents`, `importer`, `manifest`, `inspection`  from bytes to a checked manifest
`versions`, `issues`, `sources`                    what a sync decides
`ranges`, `whens`, `universe`, `solver`, `locks`   what a wish resolves to
`closure`, `selection`, `config_schema`, `cards`   what is asked about Blueprints
`storefront`                                       what is sold
"""
