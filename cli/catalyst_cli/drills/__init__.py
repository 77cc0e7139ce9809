"""Drills: a client that writes by the public name while regions move or die, and what it saw, measured."""
