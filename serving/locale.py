"""The language of an answer: what the request's Accept-Language asks for, among those that cards have."""

from models.words import LANGUAGES, Language


def choose_language(accept_language: str | None, default: Language) -> Language:
    """The best language by weight (RFC 9110, 12.5.4), then by order; the default where none is had."""
    best: tuple[float, Language] | None = None
    for part in (accept_language or "").split(","):
        tag, _, parameters = part.strip().partition(";")
        weight = _weight(parameters)
        primary = tag.strip().split("-")[0].lower()
        for language in LANGUAGES:
            if primary == language and weight > 0 and (best is None or weight > best[0]):
                best = (weight, language)
    return default if best is None else best[1]


def _weight(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0.0 <= weight <= 1.0 else 0.0
