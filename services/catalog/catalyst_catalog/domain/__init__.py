"""Decisions of the catalogue: pure, without clock, I/O or protobuf.

documents, importer, manifest, inspection            from bytes to a checked manifest
sources, sightings, syncing, versions                what a sync decides
ranges, whens, universe                              what can be chosen from
provider, solver, circles, conflicts, locks          what a wish resolves to
closure, selection, config_schema, formats, cards    what is asked about Blueprints
storefront                                           what is sold
refusals                                             every reason, in one place
"""
