"""Whose tokens a daemon takes, by its settings."""

from collections.abc import Sequence

from .claims import PEOPLE, Reading, Terms
from .identity import TokenFile
from .oidc import ALGORITHMS, OidcVerifier, Patience
from .settings import DaemonSettings
from .token_review import TokenReviewVerifier
from .verifiers import AnyVerifier, KeyFileVerifier, Verifier
from .web import Web


def verifier(name: str, settings: DaemonSettings, also: Sequence[Verifier] = ()) -> AnyVerifier:
    """Everything by which `name` checks its callers.

    also   further verifiers: of issuers that are the daemon's own, such as one for agents
    """
    found: list[Verifier] = []
    outside = bool(settings.oidc_issuer or settings.kubernetes_url)
    # With an issuer outside, the development issuer counts only where it is asked for by name.
    if not outside or "jwks_file" in settings.model_fields_set:
        found.append(KeyFileVerifier(settings.jwks_file))
    if settings.oidc_issuer:
        found.append(_people(settings))
    if settings.kubernetes_url:
        found.append(_workloads(name, settings))
    return AnyVerifier([*found, *also])


def _people(settings: DaemonSettings) -> OidcVerifier:
    reading = Reading(
        settings.oidc_roles_claim, settings.oidc_groups_claim, settings.oidc_roles, settings.oidc_member_roles
    )
    return OidcVerifier(
        Terms(settings.oidc_issuer, settings.oidc_audience, ALGORITHMS, PEOPLE, reading),
        web=Web(settings.oidc_ca_file),
        patience=Patience(settings.oidc_keys_seconds, settings.oidc_refetch_seconds, settings.oidc_grace_seconds),
    )


def _workloads(name: str, settings: DaemonSettings) -> TokenReviewVerifier:
    return TokenReviewVerifier(
        settings.kubernetes_url,
        web=Web(settings.kubernetes_ca_file, TokenFile(settings.kubernetes_token_file)),
        issuer=settings.kubernetes_issuer,
        audience=settings.workload_audience or f"catalyst-{name}",
        workloads=settings.workloads,
    )
