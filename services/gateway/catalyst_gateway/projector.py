"""A gateway that fills the read model and answers no requests: `python -m catalyst_gateway.projector`."""

from .app import start_projector

if __name__ == "__main__":
    start_projector()
