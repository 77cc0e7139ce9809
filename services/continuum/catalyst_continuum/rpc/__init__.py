"""Continuum's services: proto in, domain call, proto out."""
