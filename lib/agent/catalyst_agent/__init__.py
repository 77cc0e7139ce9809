"""The agent of a real server: enrols once, tells what its cluster shows, and does what the provisioner asks for.

It neither installs nor applies anything by itself: k3s makes the cluster, Flux pulls the tree. What it knows it has seen
through the Kubernetes API; what it has not seen it does not tell.
"""

VERSION = "0.1.0"
