"""Continuum: which region may write, right now?"""
