"""`python -m catalyst_provisioner`."""

from .app import start

start()
