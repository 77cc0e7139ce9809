"""Every refusal of the catalogue, with its reason."""

from collections.abc import Mapping

from catalyst_sdk import Code, Refused, Violation


class BlueprintNotFound(Refused):
    # Also for what the caller may not see: the same bytes as for a name that never existed.
    code, reason, message = Code.NOT_FOUND, "BLUEPRINT_NOT_FOUND", "there is no Blueprint {blueprint}"


class VersionNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "VERSION_NOT_FOUND", "{blueprint} has no version {version}"


class NoMatch(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "NO_MATCH", "no version of {blueprint} matches {range}"


class NotReleased(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "NOT_RELEASED", "{blueprint} has no released version yet"


class RangeInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "RANGE_INVALID", "{range} is not a version range"


class WhenInvalid(Refused):
    code, reason = Code.INVALID_ARGUMENT, "WHEN_INVALID"
    message = "the condition is not understood at column {column}: {why}"


class WhenTypeMismatch(Refused):
    code, reason = Code.INVALID_ARGUMENT, "WHEN_TYPE_MISMATCH"
    message = "the condition {when} uses {operator} on {left} and {right}"


class DependencyCycle(Refused):
    code, reason, message = (
        Code.FAILED_PRECONDITION,
        "DEPENDENCY_CYCLE",
        "Blueprints need each other in a circle: {path}",
    )


class ValuesConflict(Refused):
    code, reason = Code.FAILED_PRECONDITION, "VALUES_CONFLICT"
    message = "{blueprint} is shared, but {first} and {second} pass different values to it"


class SolverBudget(Refused):
    code, reason = Code.RESOURCE_EXHAUSTED, "SOLVER_BUDGET"
    message = "no answer within the budget of the solver; most contested: {blueprint}, demanded {demands}"
    retry_after = None


class Unsatisfiable(Refused):
    """Carries one violation per contested Blueprint and per demand on it."""

    code, reason, message = Code.FAILED_PRECONDITION, "UNSATISFIABLE", "the demands contradict each other: {sentences}"


class LockedVersionQuarantined(Refused):
    code, reason = Code.FAILED_PRECONDITION, "VERSION_QUARANTINED"
    message = "{blueprint} {version} is locked, but trust in it is broken: {why}"


class PublicNeedsPrivate(Refused):
    # Else whoever takes a name that a public Blueprint needs and nobody publishes would be installed with it.
    code, reason = Code.FAILED_PRECONDITION, "PUBLIC_NEEDS_PRIVATE"
    message = "{public} is public and may not depend on {private}, which is an Organization's own"


class LockInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "LOCK_INVALID", "the lock cannot be read: {why}"


class CapabilityMissing(Refused):
    code, reason, message = Code.UNIMPLEMENTED, "CAPABILITY_MISSING", "this catalogue does not serve {capability}"


class UnknownComponent(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "COMPONENT_UNKNOWN", "not known to the catalogue: {names}"


class ComponentConflict(Refused):
    code, reason = Code.INVALID_ARGUMENT, "COMPONENT_CONFLICT"
    message = "{removed} cannot be left out: {added} needs it"


class UnknownFamily(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "FAMILY_UNKNOWN", "there is no family {family}"


class MandatoryComponent(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "MANDATORY_COMPONENT", "{component} is part of every Sovereign"


class CoreComponent(Refused):
    code, reason = Code.FAILED_PRECONDITION, "CORE_COMPONENT"
    message = "{component} carries {family}, of which {members} stay selected"


class ConfigInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "CONFIG_INVALID", "{count} value(s) of the configuration are wrong"

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__(violations=violations, count=len(violations))


class SchemaUnsupported(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SCHEMA_UNSUPPORTED", "the configSchema cannot be used: {why}"


class AppNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "APP_NOT_FOUND", "the storefront has no {name}"


class PlanNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "PLAN_NOT_FOUND", "the storefront has no {name}"


class AddOnNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ADD_ON_NOT_FOUND", "the storefront has no {name}"


class BundleNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "BUNDLE_NOT_FOUND", "the storefront has no {name}"


class IndustryNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "INDUSTRY_NOT_FOUND", "the storefront has no {name}"


OFFERS_NOT_FOUND: Mapping[str, type[Refused]] = {
    "APP": AppNotFound,
    "PLAN": PlanNotFound,
    "ADD_ON": AddOnNotFound,
    "BUNDLE": BundleNotFound,
    "INDUSTRY": IndustryNotFound,
}
"""By the name of an offer's kind."""


class PriceBookNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "PRICE_BOOK_NOT_FOUND", "there is no price book {book}"


class SourceNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "SOURCE_NOT_FOUND", "there is no source {source}"


class SourceDisabled(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "SOURCE_DISABLED", "{source} is switched off"


class SourceExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "SOURCE_EXISTS", "there is {source} already"


class PublicSourceFixed(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "PUBLIC_SOURCE_FIXED", "{source} {what}"


class TrustTooLow(Refused):
    code, reason = Code.FAILED_PRECONDITION, "TRUST_TOO_LOW"
    message = "{source} asks for less than a source of the scope {scope} may"


class IssueNotFound(Refused):
    code, reason, message = Code.NOT_FOUND, "ISSUE_NOT_FOUND", "there is no issue {issue}"


class EtagMismatch(Refused):
    code, reason, message = Code.ABORTED, "ETAG_MISMATCH", "{name} was changed meanwhile; read it again"


class IllegalTransition(Refused):
    code, reason = Code.FAILED_PRECONDITION, "ILLEGAL_TRANSITION"
    message = "{version} is {state}, which {command} does not leave; allowed are {allowed}"


class ReplacementUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "REPLACEMENT_UNKNOWN", "there is no {replacement} to use instead"
    field = "replacement"


class SlugTaken(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "SLUG_TAKEN", "there is {name} already"


class OfferInUse(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "IN_USE", "{name} is named by {users}"


class BlueprintUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "BLUEPRINT_UNKNOWN", "the catalogue has no public {blueprint}"
    field = "blueprint"


class ServiceUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "SERVICE_UNKNOWN", "no backing service is called {services}"
    field = "requires"


class ArtifactNotKept(Refused):
    code, reason = Code.NOT_FOUND, "ARTIFACT_NOT_KEPT"
    message = "the bytes of {blueprint} {version} are not kept; sync its source"


class AppUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "APP_UNKNOWN", "no app is called {apps}"
    field = "apps"


class AddOnUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "ADD_ON_UNKNOWN", "no add-on is called {add_ons}"
    field = "add_ons"


class PlanUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "PLAN_UNKNOWN", "no plan is called {plan}"
    field = "plan"


class BundleUnknown(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "BUNDLE_UNKNOWN", "no bundle is called {bundle}"
    field = "bundle"


class CurrencyUnsupported(Refused):
    code, reason = Code.INVALID_ARGUMENT, "CURRENCY_UNSUPPORTED"
    message = "prices are in {known}, not in {currency}"
    field = "price"


class PriceBookMoved(Refused):
    code, reason, message = Code.ABORTED, "PRICE_BOOK_MOVED", "the last price book is {number}, not {expected}"


class ValidFromPast(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "VALID_FROM_PAST", "{valid_from} is past; it is {now}"
    field = "valid_from_time"


class RateInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "RATE_INVALID", "the rate of {meter} cannot be used: {why}"
    field = "rates"


class FieldRemoved(Refused):
    code, reason = Code.FAILED_PRECONDITION, "FIELD_REMOVED"
    message = "the version has no {fields} any more; say drop_unknown to lose what is set there"


class FieldImmutable(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "FIELD_IMMUTABLE", "{fields} cannot change once it is installed"


class PlanStale(Refused):
    code, reason = Code.ABORTED, "PLAN_STALE"
    message = "the plan {expected} is not what the catalogue gives now, which is {digest}"


class PolicyRefused(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "POLICY_REFUSED", "{blueprint} {version} is not trusted: {why}"


class SingleInstance(Refused):
    code, reason = Code.FAILED_PRECONDITION, "SINGLE_INSTANCE"
    message = "an Organization has one Application of {blueprint}, which is {application}"


class ChoiceUnavailable(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "CHOICE_UNAVAILABLE", "{alias} cannot be met by {choice}: {why}"


class PlacementUnsupported(Refused):
    code, reason = Code.FAILED_PRECONDITION, "PLACEMENT_UNSUPPORTED"
    message = "{blueprint} cannot stretch over {regions} region(s) as {mode}, which {parent} needs"


class PlacementInvalid(Refused):
    code, reason, message = Code.INVALID_ARGUMENT, "PLACEMENT_INVALID", "{blueprint} cannot be placed so: {why}"
    field = "placement"


class CapacityExceeded(Refused):
    code, reason, message = Code.FAILED_PRECONDITION, "CAPACITY", "{plan} lacks {shortfall}; {suggested} holds it all"


class ApplicationExists(Refused):
    code, reason, message = Code.ALREADY_EXISTS, "APPLICATION_EXISTS", "{environment} has an Application {application}"
