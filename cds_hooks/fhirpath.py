"""Simpler FHIRPath: what may stand between the braces of a prefetch token, and no more.

    token    = selector *( "|" selector )
    selector = path / date / user
    path     = root *( "." step )
    root     = "context" / "%context" / "%" key / "%`" key "`"
    step     = element / "ofType(" resource-type ")" / "resolve()"
    date     = "today()" [ ( "+" / "-" ) digits "days" ]
    user     = "userPractitionerId" / "userPractitionerRoleId" / "userPatientId" / "userRelatedPersonId"

Source: CDS Hooks 3.0 ballot, Prefetch tokens containing Simpler FHIRPath (trial use). `%key` is what came under a
template listed before; `%context` stands in one of the specification's examples. What `resolve()` finds in the
context, in the same resource or under a key is walked into; of any other target the reference itself tells type and
id, and nothing else is known.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, NamedTuple, TypeAlias

from cds_hooks.fhir_names import CHOICE_TYPES, CHOICES, RESOURCE_TYPES

# Tokens that name the user by type (2.0): filled from context.userId when it has that type.
USER_TOKENS: Final[Mapping[str, str]] = {
    "userPractitionerId": "Practitioner",
    "userPractitionerRoleId": "PractitionerRole",
    "userPatientId": "Patient",
    "userRelatedPersonId": "RelatedPerson",
}

_TODAY = re.compile(r"today\(\)(?:\s*(?P<sign>[+-])\s*(?P<days>[0-9]{1,5})\s+days)?")
_ROOT = re.compile(r"%?context(?![A-Za-z0-9_])|%(?P<key>[A-Za-z_][A-Za-z0-9_]*)|%`(?P<quoted>[^`{}|\\]+)`")
_STEP = re.compile(
    r"\.(?:(?P<resolve>resolve\(\))|ofType\(\s*(?P<type>[A-Za-z]+)\s*\)|(?P<element>[A-Za-z_][A-Za-z0-9_]*)(?![A-Za-z0-9_(]))"
)


class FhirPathError(ValueError):
    """An expression that no prefetch token may have; what is wrong is in the message, with the expression."""


class OutOfReach(Exception):  # noqa: N818 - as cds_hooks.errors: named for what happened
    """An expression needs more of a resource than its id, and the resource is neither in the context nor prefetched."""


class Element(NamedTuple):
    """`.name`: the element of that name, whichever type it is written with."""

    name: str


class OfType(NamedTuple):
    """`.ofType(Type)`: the resources of one type."""

    resource_type: str


class Resolve(NamedTuple):
    """`.resolve()`: what references lead to."""


Step: TypeAlias = Element | OfType | Resolve


class Path(NamedTuple):
    """From the context (`key` is None) or from what came under a key, step by step."""

    key: str | None
    steps: tuple[Step, ...]

    @property
    def context_field(self) -> str | None:
        """The field of the context that it begins with."""
        first = self.steps[0] if self.key is None and self.steps else None
        return first.name if isinstance(first, Element) else None


class Today(NamedTuple):
    """The day of the call, and so many days later."""

    days: int


class User(NamedTuple):
    """The id of the user, if the user is of this type."""

    resource_type: str


Selector: TypeAlias = Path | Today | User


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """A token, read; its values are those of all its selectors."""

    text: str
    selectors: tuple[Selector, ...]

    @property
    def keys(self) -> frozenset[str]:
        """The prefetch keys whose results it needs."""
        return frozenset(one.key for one in self.selectors if isinstance(one, Path) and one.key is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What expressions are evaluated on. Its repr shows nothing of it, for it is a patient's.

    Attributes:
        context: of the request, decoded.
        prefetched: decoded resources by key; None for a key whose template found nothing.
        today: the day of the call.
        base: of the FHIR server, without a slash at its end; absolute references to others are not resolved.
    """

    context: Mapping[str, object] = field(repr=False)
    today: date
    prefetched: Mapping[str, object] = field(default_factory=dict, repr=False)
    base: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """What an expression gives, as text; `is_known` is False if the scope lacks all that it begins with."""

    texts: tuple[str, ...] = field(repr=False)
    is_known: bool


class _Elsewhere(NamedTuple):
    """A resource of which only its reference is known."""

    resource_type: str
    id: str


_Known: TypeAlias = dict[str | _Elsewhere | None, Mapping[str, object]]


class _Item(NamedTuple):
    """A value, and the resource that it stands in, which may contain what it refers to."""

    value: object
    owner: Mapping[str, object] | None


def parse(text: str) -> Expression:
    """Read what stands between the braces of a token.

    Raises:
        FhirPathError: it is more or other than the specification allows.
    """
    return Expression(text=text, selectors=tuple(_selector(part.strip(), text) for part in text.split("|")))


def evaluate(expression: Expression, scope: Scope) -> Values:
    """What an expression gives: simple values in their order; each once if there are several selectors (FHIRPath `|`).

    Raises:
        FhirPathError: a value is no simple one, so that a URL cannot hold it.
        OutOfReach: a resource would have to be read first.
    """
    found = [_evaluated(selector, scope) for selector in expression.selectors]
    texts = [_text(item.value, expression) for items in found if items is not None for item in items]
    return Values(
        texts=tuple(texts) if len(found) == 1 else tuple(dict.fromkeys(texts)),
        is_known=any(items is not None for items in found),
    )


def _selector(part: str, whole: str) -> Selector:
    if part in USER_TOKENS:
        return User(USER_TOKENS[part])
    relative = _TODAY.fullmatch(part)
    if relative is not None:
        return Today(int(f"{relative['sign'] or ''}{relative['days'] or 0}"))
    root = _ROOT.match(part)
    if root is None:
        raise _not_allowed(part, whole, "expected context.field, %key, today() or one of the user's ids")
    key = root["key"] or root["quoted"]
    steps = tuple(_steps(part, root.end(), whole))
    if key is None and not (steps and isinstance(steps[0], Element)):
        raise _not_allowed(part, whole, "expected a field of the context behind context")
    return Path(key, steps)


def _steps(part: str, begin: int, whole: str) -> Iterator[Step]:
    while begin < len(part):
        found = _STEP.match(part, begin)
        if found is None:
            raise _not_allowed(part[begin:], whole, "expected .element, .ofType(Type) or .resolve()")
        begin = found.end()
        if found["resolve"]:
            yield Resolve()
        elif found["element"]:
            yield Element(found["element"])
        elif found["type"] in RESOURCE_TYPES:
            yield OfType(found["type"])
        else:
            raise _not_allowed(found["type"], whole, "expected a FHIR resource type in ofType()")


def _not_allowed(part: str, whole: str, expected: str) -> FhirPathError:
    return FhirPathError(f"Token {{{{{whole}}}}}: {expected}, got {part!r} (CDS Hooks 3.0, Simpler FHIRPath).")


def _evaluated(selector: Selector, scope: Scope) -> list[_Item] | None:
    """The values of one selector; None if the scope lacks what it begins with."""
    match selector:
        case Today(days):
            return [_Item((scope.today + timedelta(days=days)).isoformat(), None)]
        case User(resource_type):
            user = scope.context.get("userId")
            user_type, _, user_id = user.partition("/") if isinstance(user, str) else ("", "", "")
            return [_Item(user_id, None)] if user_type == resource_type and user_id else None
        case Path():
            return _walked(selector, scope)


def _walked(path: Path, scope: Scope) -> list[_Item] | None:
    if path.key is None:
        if scope.context.get(path.context_field or "") is None:
            return None
        items = [_Item(dict(scope.context), None)]
    elif path.key in scope.prefetched:
        items = list(_flat(scope.prefetched[path.key], None))
    else:
        return None
    for step in path.steps:
        known = _known(scope) if isinstance(step, Resolve) else {}
        items = [after for item in items for after in _stepped(item, step, known, scope.base)]
    return items


def _stepped(item: _Item, step: Step, known: _Known, base: str | None) -> Iterator[_Item]:
    match step:
        case OfType(resource_type):
            if _type_of(item.value) == resource_type:
                yield item
        case Resolve():
            yield from _resolved(item, known, base)
        case Element(name):
            if isinstance(item.value, _Elsewhere):
                yield _Item(_of_elsewhere(item.value, name), None)
            elif isinstance(item.value, Mapping):
                yield from _flat(_child(item.value, name), _owner(item))


def _of_elsewhere(target: _Elsewhere, name: str) -> str:
    if name != "id":
        raise OutOfReach
    return target.id


def _child(value: Mapping[str, object], name: str) -> object:
    if name in value or name not in CHOICES:
        return value.get(name)
    return next((value[name + kind] for kind in CHOICE_TYPES if name + kind in value), None)


def _flat(value: object, owner: Mapping[str, object] | None) -> Iterator[_Item]:
    for one in value if isinstance(value, list | tuple) else (value,):
        if one is not None:
            yield _Item(one, owner)


def _owner(item: _Item) -> Mapping[str, object] | None:
    """The resource that the elements of an item stand in; what is contained has what contains it."""
    value = item.value
    is_resource = isinstance(value, Mapping) and "resourceType" in value
    return value if is_resource and isinstance(value, Mapping) else item.owner


def _type_of(value: object) -> object:
    if isinstance(value, _Elsewhere):
        return value.resource_type
    return value.get("resourceType") if isinstance(value, Mapping) else None


def _resolved(item: _Item, known: _Known, base: str | None) -> Iterator[_Item]:
    """The target of one reference; nothing where there is none (FHIR R4, FHIRPath, resolve())."""
    reference = item.value.get("reference") if isinstance(item.value, Mapping) else item.value
    if not isinstance(reference, str):
        return
    if reference.startswith("#"):
        contained = (item.owner or {}).get("contained")
        for each in _flat(contained, item.owner):
            if isinstance(each.value, Mapping) and str(each.value.get("id")).removeprefix("#") == reference[1:]:
                yield each
        return
    target = _target(reference, base)
    resource = known.get(reference) or known.get(target)
    if resource is not None:
        yield _Item(resource, None)
    elif target is not None:
        yield _Item(target, None)


def _known(scope: Scope) -> _Known:
    """The resources that came with the call, by their address and by type and id."""
    known: _Known = {}
    for full_url, resource in _resources([*scope.context.values(), *scope.prefetched.values()]):
        resource_type, logical_id = resource.get("resourceType"), resource.get("id")
        if isinstance(full_url, str):
            known.setdefault(full_url, resource)
        if isinstance(resource_type, str) and isinstance(logical_id, str):
            known.setdefault(_Elsewhere(resource_type, logical_id), resource)
    return known


def _resources(values: Iterable[object]) -> Iterator[tuple[object, Mapping[str, object]]]:
    """Resources among values and in the Bundles among them, each with its address."""
    for value in values:
        for item in _flat(value, None):
            if not isinstance(item.value, Mapping):
                continue
            yield None, item.value
            for entry in _flat(item.value.get("entry"), None):
                resource = entry.value.get("resource") if isinstance(entry.value, Mapping) else None
                if isinstance(entry.value, Mapping) and isinstance(resource, Mapping):
                    yield entry.value.get("fullUrl"), resource


def _target(reference: str, base: str | None) -> _Elsewhere | None:
    """Type and id of a resource on the FHIR server; the version that a reference may name is left out."""
    if base is not None:
        reference = reference.removeprefix(f"{base}/")
    resource_type, _, rest = reference.partition("/")
    logical_id, _, _ = rest.partition("/_history/")
    if resource_type not in RESOURCE_TYPES or not logical_id or "/" in logical_id:
        return None
    return _Elsewhere(resource_type, logical_id)


def _text(value: object, expression: Expression) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise FhirPathError(f"Token {{{{{expression.text}}}}}: expected simple values, got a whole element or resource.")
