"""What a plugin author, and a daemon's domain, may import of ours.

Decisions and refusals (`Decision`, `Refused`, `Code`), the four errors that may leave a plugin, secrets that cannot be
printed, and the manifest of a plugin. The contracts of each kind stand in modules of their own: `catalyst_sdk.dns`,
`catalyst_sdk.cloud`, `catalyst_sdk.registrar`, `catalyst_sdk.witness`, `catalyst_sdk.continuum`, `catalyst_sdk.payment`.
"""

from .decisions import Code, Decision, Refused, Violation
from .failures import NotSupported, Permanent, PluginFailure, RateLimited, Temporary
from .hooks import PROJECT, hookimpl, hookspec
from .manifests import Manifest, ManifestFault, load_manifest
from .secrets import Secret, SecretRef

SDK_VERSION = 1
"""Version of the contracts in this package; a manifest's `sdk` range is compared with it."""

__all__ = [
    "PROJECT",
    "SDK_VERSION",
    "Code",
    "Decision",
    "Manifest",
    "ManifestFault",
    "NotSupported",
    "Permanent",
    "PluginFailure",
    "RateLimited",
    "Refused",
    "Secret",
    "SecretRef",
    "Temporary",
    "Violation",
    "hookimpl",
    "hookspec",
    "load_manifest",
]
