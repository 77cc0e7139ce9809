"""Names of Organizations, Environments and Applications as people write them."""

from catalyst_cli.failures import EXIT_CODES, Failure


def organization(name: str) -> str:
    """`organizations/acme` of `acme`, or of itself."""
    return name if name.startswith("organizations/") else f"organizations/{name}"


def environment(name: str) -> str:
    """`environments/acme-prod` of `acme-prod`, or of itself."""
    return name if name.startswith("environments/") else f"environments/{name}"


def application(name: str) -> str:
    """`environments/acme-prod/applications/blog` of `acme-prod/blog`, or of itself. Raises Failure."""
    if name.startswith("environments/"):
        return name
    env, _, app = name.partition("/")
    if not app:
        raise Failure(
            f"{name} names no Application",
            next_step="say Environment and name: acme-prod/blog",
            exit_code=EXIT_CODES["INVALID_ARGUMENT"],
        )  # fmt: skip - one failure
    return f"environments/{env}/applications/{app}"
