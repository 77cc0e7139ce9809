"""PDM: which name, and does the world see it?"""
