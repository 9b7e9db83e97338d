"""Cards and what they are made of, valid when built.

Source: CDS Hooks 2.0.1, Service Response, Card Attributes, Source, Suggestion, Action, Link. The logical
model's invariants are named where they are checked. Empty tuples and None are left out at the wire, so that
no null, "", [] or {} ever leaves (Use of JSON).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from cds_hooks.errors import InvalidAnswer

SUMMARY_LIMIT = 140
"""A summary is shorter than this, in code points and in UTF-16 units: the text does not say which."""

Indicator = Literal["info", "warning", "critical"]
SelectionBehavior = Literal["at-most-one", "any"]
ActionType = Literal["create", "update", "delete"]
LinkType = Literal["absolute", "smart"]

_REFERENCE = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64}")  # FHIR R4, References: Type/id


# What is certainly no mapping: asking an abstract class costs more than all else here.
_PLAIN = frozenset({str, bool, tuple, type(None)})


class _Element(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What every element has: no empty string or object in any of its fields, and perhaps an extension (Extensions)."""

    extension: dict[str, object] | None = None

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            is_free = type(value) not in _PLAIN and isinstance(value, Mapping)
            if value == "" or (is_free and not value):
                raise InvalidAnswer(f"{self._where(name)}: expected a value or None, got an empty one.")
            if is_free:
                _require_strict_json(value, self._where(name))
                if name == "extension":
                    require_unique_names(value, self._where(name))

    def _where(self, name: str) -> str:
        return f"{type(self).__name__}.{name}"


class Coding(_Element, frozen=True, kw_only=True):
    """A code of a code system (source.topic, reasons)."""

    code: str
    system: str
    display: str | None = None


class OverrideReason(_Element, frozen=True, kw_only=True):
    """A reason that the clinician can choose when rejecting a card; it must have a display."""

    code: str
    system: str
    display: str


class Source(_Element, frozen=True, kw_only=True):
    """The primary source of the guidance. `icon`: a 100 × 100 PNG without transparency."""

    label: str
    url: str | None = None
    icon: str | None = None
    topic: Coding | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, url in (("url", self.url), ("icon", self.icon)):
            if url is not None:
                _require_absolute_url(url, self._where(name))


class Link(_Element, frozen=True, kw_only=True):
    """A link to an app or a page. `app_context` goes to SMART apps only (cds-resp-3)."""

    label: str
    url: str
    type: LinkType
    app_context: str | None = None
    autolaunchable: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_one_of(self.type, ("absolute", "smart"), self._where("type"))
        _require_absolute_url(self.url, self._where("url"))
        if self.app_context is not None and self.type != "smart":
            raise InvalidAnswer("Link.app_context: expected on links of type smart only, got type absolute.")


class Action(_Element, frozen=True, kw_only=True):
    """One change of the record: create and update carry the whole resource, delete a Type/id."""

    type: ActionType
    description: str | None = None
    resource: dict[str, object] | None = None
    resource_id: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_one_of(self.type, ("create", "update", "delete"), self._where("type"))
        if self.type == "delete":
            if self.resource_id is None or self.resource is not None or not _REFERENCE.fullmatch(self.resource_id):
                raise InvalidAnswer("Action of type delete: expected resource_id (Type/id) and no resource.")
        elif self.resource is None or "resourceType" not in self.resource:
            raise InvalidAnswer(f"Action of type {self.type}: expected a FHIR resource with resourceType.")


class Suggestion(_Element, frozen=True, kw_only=True):
    """A set of actions that belong together. Without `uuid` the client reports no acceptance."""

    label: str
    uuid: str | None = None
    is_recommended: bool = False
    actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(action.description is None for action in self.actions):
            raise InvalidAnswer("Suggestion.actions: expected a description on each action (cds-resp-5).")


class Card(_Element, frozen=True, kw_only=True):
    """One piece of guidance. `detail` is GitHub Flavored Markdown; escaping it is the author's duty."""

    summary: str
    indicator: Indicator
    source: Source
    uuid: str | None = None
    detail: str | None = None
    suggestions: tuple[Suggestion, ...] = ()
    selection_behavior: SelectionBehavior | None = None
    override_reasons: tuple[OverrideReason, ...] = ()
    links: tuple[Link, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_one_of(self.indicator, ("info", "warning", "critical"), self._where("indicator"))
        _check_summary(self.summary)
        _check_selection(self.suggestions, self.selection_behavior)


class CdsResponse(_Element, frozen=True, kw_only=True):
    """The answer of a service. `cards` may be empty ("no guidance"); it never stands for a fault."""

    cards: tuple[Card, ...]
    system_actions: tuple[Action, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        suggestions = (suggestion for card in self.cards for suggestion in card.suggestions)
        _require_distinct((card.uuid for card in self.cards), "Card.uuid")
        _require_distinct((suggestion.uuid for suggestion in suggestions), "Suggestion.uuid")


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(CdsResponse)


def encode_response(response: CdsResponse, *, system_actions_agreed: bool = False) -> bytes:
    """The response as strict JSON in UTF-8.

    Args:
        response: valid, as built.
        system_actions_agreed: whether the site has switched system actions on. They change the record without
            anybody looking, so they are for scenarios that both sides agreed upon (System Action).

    Raises:
        InvalidAnswer: the response has system actions, and the site has not switched them on.
    """
    if response.system_actions and not system_actions_agreed:
        raise InvalidAnswer("CdsResponse.system_actions: expected none, for this site has not switched them on.")
    return _ENCODER.encode(response)


def decode_response(body: bytes) -> CdsResponse:
    """Read a response back (replay, clients, tests). Raises msgspec.ValidationError if it breaks a rule."""
    return _DECODER.decode(body)


def _check_summary(summary: str) -> None:
    # A character beyond U+FFFF takes two UTF-16 units, so there are never fewer units than code points.
    units = len(summary.encode("utf-16-le", "surrogatepass")) // 2
    if units >= SUMMARY_LIMIT:
        raise InvalidAnswer(f"Card.summary: expected fewer than {SUMMARY_LIMIT} UTF-16 units, got {units}.")
    if summary.splitlines() != [summary] or not summary.strip():
        raise InvalidAnswer("Card.summary: expected one line of text.")


def _check_selection(suggestions: tuple[Suggestion, ...], behavior: SelectionBehavior | None) -> None:
    if behavior is not None:
        _require_one_of(behavior, ("at-most-one", "any"), "Card.selection_behavior")
    if bool(suggestions) != (behavior is not None):
        raise InvalidAnswer("Card.selection_behavior: expected together with suggestions, got one without the other.")
    recommended = sum(suggestion.is_recommended for suggestion in suggestions)
    if behavior == "at-most-one" and recommended > 1:
        raise InvalidAnswer(f"Card.suggestions: expected at most one recommended (cds-resp-1), got {recommended}.")


def _require_one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        raise InvalidAnswer(f"{where}: expected one of {', '.join(allowed)}, got another value.")


def _require_absolute_url(url: str, where: str) -> None:
    try:
        parts = urlsplit(url)
        absolute = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        absolute = False
    if not absolute or any(character.isspace() for character in url):
        raise InvalidAnswer(f"{where}: expected an absolute http(s) URL, got something else.")


def _require_distinct(identifiers: Iterable[str | None], where: str) -> None:
    counts = Counter(identifier for identifier in identifiers if identifier is not None)
    if any(count > 1 for count in counts.values()):
        raise InvalidAnswer(f"{where}: expected each once in a response, got one twice.")


def require_unique_names(extension: Mapping[str, object], where: str) -> None:
    """Extensions of several authors must not meet under one name: reverse domain notation, or a URL (Extensions)."""
    if any("." not in name and ":" not in name for name in extension):
        raise InvalidAnswer(f"{where}: expected globally unique names such as org.example.name, got another.")


def _require_strict_json(value: object, where: str) -> None:
    """Refuse what JSON or CDS Hooks forbids inside free objects: null, empty values, NaN and infinities.

    FHIR pads arrays of primitives with null where only the extension has a value: those nulls may stay.
    """
    match value:
        case float() if not math.isfinite(value):
            raise InvalidAnswer(f"{where}: expected a finite number, got {value}.")
        case None | "":
            raise InvalidAnswer(f"{where}: expected a value, got none.")
        case dict() | list() | tuple() if not value:
            raise InvalidAnswer(f"{where}: expected content, got an empty object or array.")
        case dict():
            for key, child in value.items():
                _require_strict_json(child, f"{where}.{key}")
        case list() | tuple():
            for position, child in enumerate(value):
                if child is not None:
                    _require_strict_json(child, f"{where}[{position}]")
        case _:
            pass
