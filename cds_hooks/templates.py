"""Prefetch templates, read once: which keys they need, which version of the standard they speak, and their URLs.

Source: CDS Hooks 2.0.1 and 3.0 ballot, Prefetch Template. A client fills them for its own FHIR server; a service that
reads what the client did not send fills them in the same way. A service description with templates that need 3.0 is
for clients that understand it: the standard negotiates no version, and one id stands once for each hook, so the two
kinds belong under two base URLs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import quote

from cds_hooks.errors import InvalidAnswer
from cds_hooks.fhir_names import RESOURCE_TYPES
from cds_hooks.fhirpath import Element, Expression, FhirPathError, OutOfReach, Path, Scope, Today, evaluate, parse
from cds_hooks.hooks import HOOKS, ContextField, Kind

TemplateVersion: TypeAlias = Literal["2.0", "3.0"]
Unfilled: TypeAlias = Literal["context", "prefetch", "value"]

_TOKEN = re.compile(r"\{\{([^{}]*)\}\}")
# With each token already replaced by one letter.
_FORM = re.compile(r"(?P<type>[A-Z][A-Za-z]+)(?:/[A-Za-z0-9.-]{1,64}|\?[^\s{}#\"<>\\^`]+)")

# FHIR allows 64 letters, digits, hyphens and dots; real servers go beyond. Dots alone would climb up in a path.
_LOGICAL_ID = re.compile(r"(?!\.+$)[A-Za-z0-9._~-]{1,256}")
# FHIR R4, search, "Escaping Search Parameters": with these a value would be several, or another one.
_SPECIAL = re.compile(r"[\\$,|]")


class Unfillable(Exception):  # noqa: N818 - as cds_hooks.errors: named for what happened
    """A template cannot be filled in this call, so that nobody can run its query.

    `lacks`: a field of the context, the resource that a path leads to, or a value that a URL can hold.
    """

    def __init__(self, lacks: Unfilled) -> None:
        super().__init__(lacks)
        self.lacks: Unfilled = lacks


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One template, read.

    Attributes:
        text: as the discovery document has it.
        parts: text and tokens, in turn.
        resource_type: what it reads or searches for; None where a reference in the context says it.
    """

    text: str
    parts: tuple[str | Expression, ...] = field(repr=False)
    resource_type: str | None

    @property
    def is_search(self) -> bool:
        """Whether it is a search, else the read of one resource."""
        return "?" in self.text

    @property
    def keys(self) -> frozenset[str]:
        """Other keys whose results it needs."""
        return frozenset(key for part in self.parts if isinstance(part, Expression) for key in part.keys)

    @property
    def version(self) -> TemplateVersion:
        """The first version of CDS Hooks whose clients understand it."""
        return "3.0" if any(isinstance(part, Expression) and _is_new(part) for part in self.parts) else "2.0"


def read_templates(templates: Mapping[str, str], hook: str) -> dict[str, Template]:
    """Read the templates of a service on a hook, in their order.

    Raises:
        InvalidAnswer: one of them is wrong, or needs a key that does not stand before it; so no cycle passes.
    """
    read: dict[str, Template] = {}
    for key, text in templates.items():
        template = read_template(text, hook)
        if not template.keys <= read.keys():
            raise InvalidAnswer(
                f"Prefetch template {text!r}: expected only keys of templates listed before it, got "
                f"{', '.join(sorted(template.keys - read.keys()))}."
            )
        read[key] = template
    return read


def read_template(text: str, hook: str) -> Template:
    """Read one template.

    Raises:
        InvalidAnswer: it is no instance read or type-level search relative to the FHIR base, or one of its tokens is
            none that the hook allows.
    """
    parts = tuple(_token(piece, text, hook) if i % 2 else piece for i, piece in enumerate(_TOKEN.split(text)))
    found = _FORM.fullmatch(_TOKEN.sub("x", text))
    if found is not None and found["type"] in RESOURCE_TYPES:
        return Template(text=text, parts=parts, resource_type=found["type"])
    if found is None and _is_reference(parts, hook):
        return Template(text=text, parts=parts, resource_type=None)
    raise InvalidAnswer(
        f"Prefetch template {text!r}: expected Type/id or Type?parameters, relative to the FHIR base, of a FHIR "
        "resource type; or a reference in the context as its only token."
    )


def fill(template: Template, scope: Scope) -> str | None:
    """A template's URL, relative to the FHIR base; None where its paths find nothing, so that there is nothing to ask.

    Values are percent-encoded, and no value becomes more than one. Several values of one token are alternatives.

    Raises:
        Unfillable: a value is lacking.
    """
    filled: list[str] = []
    for part in template.parts:
        if isinstance(part, str):
            filled.append(part)
            continue
        values = _values(part, scope)
        if not values:
            return None
        filled.append(_alternatives(values) if template.is_search else _address(values, template))
    return "".join(filled)


def _values(expression: Expression, scope: Scope) -> tuple[str, ...]:
    """A token's values, each once.

    Raises:
        Unfillable: the scope lacks what it begins with, or where it leads.
    """
    try:
        found = evaluate(expression, scope)
    except OutOfReach as error:
        raise Unfillable("prefetch") from error
    except FhirPathError as error:
        raise Unfillable("value") from error
    if not found.is_known:
        raise Unfillable("prefetch" if expression.keys else "context")
    return tuple(dict.fromkeys(text for text in found.texts if text))


def _alternatives(values: tuple[str, ...]) -> str:
    return ",".join(quote(_SPECIAL.sub(lambda special: "\\" + special[0], value), safe="") for value in values)


def _address(values: tuple[str, ...], template: Template) -> str:
    """The one value of a read: an id, or Type/id where the template says no type."""
    value = values[0]
    resource_type, slash, logical_id = value.rpartition("/")
    is_whole = template.resource_type is None
    if len(values) > 1 or bool(slash) != is_whole or (is_whole and resource_type not in RESOURCE_TYPES):
        raise Unfillable("value")
    if not _LOGICAL_ID.fullmatch(logical_id):
        raise Unfillable("value")
    return value


def _token(inner: str, template: str, hook: str) -> Expression:
    try:
        expression = parse(inner)
    except FhirPathError as error:
        raise InvalidAnswer(f"Prefetch template {template!r}: {error}") from error
    for selector in expression.selectors:
        if isinstance(selector, Path) and selector.key is None and not _is_allowed(selector, hook):
            raise InvalidAnswer(
                f"Prefetch template {template!r}: expected tokens that {hook} allows, got {{{{{inner}}}}}."
            )
    return expression


def _is_allowed(path: Path, hook: str) -> bool:
    """A field that is no token itself, such as draft orders, may be walked into (3.0 ballot)."""
    if hook not in HOOKS:  # an organisation's own hook: only it knows its fields
        return True
    found = _context_field(path, hook)
    return found is not None and (found.token or len(path.steps) > 1)


def _context_field(path: Path, hook: str) -> ContextField | None:
    for one in HOOKS[hook].context:
        if path.context_field in {one.name, *one.aliases}:
            return one
    return None


def _is_reference(parts: tuple[str | Expression, ...], hook: str) -> bool:
    """Whether a template is nothing but one reference: `{{context.userId}}` reads the user."""
    match parts:
        case ("", Expression(selectors=(Path(key=None, steps=(Element(),)) as path,)), ""):
            found = _context_field(path, hook) if hook in HOOKS else None
            return hook not in HOOKS or (found is not None and found.kind == Kind.REFERENCE)
        case _:
            return False


def _is_new(expression: Expression) -> bool:
    """Whether a token is more than one context field or user (2.0.1: first level only)."""
    if len(expression.selectors) > 1:
        return True
    only = expression.selectors[0]
    if isinstance(only, Path):
        return only.key is not None or len(only.steps) > 1 or expression.text.startswith("%")
    return isinstance(only, Today)
