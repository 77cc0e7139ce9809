"""Payment providers as the contract shows them. Of a secret, never more than its last four characters."""

from collections.abc import Iterable
from datetime import datetime

from catalyst.billing.v1 import resources_pb2 as pb
from catalyst.mesh.v1 import resources_pb2 as mesh
from catalyst_mesh import stamp

from ..domain.providers import ProviderSecret
from ..providers import BEFORE, Known
from .names import etag_of


def provider(known: Known, secrets: Iterable[ProviderSecret], last_event: datetime | None) -> pb.Provider:
    """A provider as it stands."""
    setting, facts = known.setting, known.facts
    shown = pb.Provider(
        name=f"providers/{known.name}", etag=etag_of(setting.version if setting else 0), state=_state(known),
        enabled=known.is_enabled, conditions=_conditions(known, last_event),
        uid=setting.uid if setting else "", version=setting.version if setting else 0,
        create_time=stamp(setting.created_at) if setting else None,
        update_time=stamp(setting.updated_at) if setting else None,
        capabilities=sorted(facts.capabilities) if facts else (), currencies=sorted(facts.currencies) if facts else (),
        amount_steps=facts.amount_steps if facts else {}, min_amounts=facts.min_amounts if facts else {},
        secrets={s.field: _secret(s) for s in secrets if s.is_configured and not s.field.endswith(BEFORE)},
    )  # fmt: skip
    if setting is not None:
        shown.config.update(setting.config)
    return shown


def _secret(secret: ProviderSecret) -> pb.ProviderSecret:
    return pb.ProviderSecret(secret_ref=secret.secret_ref, configured=True, last_four=secret.last_four)


def _state(known: Known) -> pb.Provider.State.ValueType:
    if known.manifest is None:
        return pb.Provider.STATE_FAILED
    if not known.is_enabled:
        return pb.Provider.STATE_DISABLED
    if known.failure:
        wrong = "configuration" in known.failure
        return pb.Provider.STATE_UNCONFIGURED if wrong else pb.Provider.STATE_FAILED
    return pb.Provider.STATE_ACTIVE


def _conditions(known: Known, last_event: datetime | None) -> list[mesh.Condition]:
    ready = mesh.Condition.STATUS_FALSE if known.failure else mesh.Condition.STATUS_TRUE
    reason = "NotUsable" if known.failure else "Loaded"
    plugin = mesh.Condition(type="PluginReady", status=ready, reason=reason, message=known.failure)
    if last_event is None:
        return [plugin]
    heard = mesh.Condition(
        type="WebhookReceived", status=mesh.Condition.STATUS_TRUE, reason="Received", since=stamp(last_event)
    )
    return [plugin, heard]
