"""Answers of a service as HTML: the cards of a CdsResponse, or the issues of an OperationOutcome.

Every text is escaped; details go through `serving.pages.markdown`. The fragment carries no script, no style and no
form: its buttons name in data attributes what the page's script sends as feedback.
"""

from html import escape

import msgspec

from cds_hooks.outcome import Issue, OperationOutcome
from cds_hooks.response import Action, Card, CdsResponse, Link, OverrideReason, Source, Suggestion, decode_response
from serving.pages.card_words import CardWords
from serving.pages.markdown import render_fragment

_HEADING_LEVEL = 4
"""A card's summary is a heading of this level on the page."""

_ICON = '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{shape}</svg>'
# Three outlines that differ without colour: a circle, a triangle, an octagon.
_ICONS = {
    "info": '<circle cx="12" cy="12" r="9"/><path d="M12 11v6M12 7.5v.01"/>',
    "warning": '<path d="M12 3.5 22 20.5H2Z"/><path d="M12 10v5M12 17.8v.01"/>',
    "critical": '<path d="M8 2.5h8L21.5 8v8L16 21.5H8L2.5 16V8Z"/><path d="M12 7v6M12 16.8v.01"/>',
}


class UnreadableAnswer(ValueError):  # noqa: N818 - named for what happened
    """The text is neither a valid CdsResponse nor an OperationOutcome."""


class _Kind(msgspec.Struct, frozen=True, rename="camel"):
    resource_type: str | None = None


def render_answer(body: bytes, words: CardWords) -> str:
    """HTML of what a service answered. Raises UnreadableAnswer."""
    try:
        if msgspec.json.decode(body, type=_Kind).resource_type == "OperationOutcome":
            return _outcome(msgspec.json.decode(body, type=OperationOutcome))
        return _response(decode_response(body), words)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswer(f"Expected a CDS Hooks response or an OperationOutcome; {error}.") from error


def _response(response: CdsResponse, words: CardWords) -> str:
    cards = "\n".join(_card(card, words) for card in response.cards)
    if not cards:
        cards = f'<p class="no-card">{escape(words.no_card)}</p>'
    actions = _actions(response.system_actions, words.system_actions)
    return f'<div class="cards" lang="{words.language}">{cards}{actions}</div>'


def _card(card: Card, words: CardWords) -> str:
    detail = render_fragment(card.detail, below_level=_HEADING_LEVEL) if card.detail else ""
    return f"""<article class="card card-{card.indicator}">
<p class="indicator">{_icon(card.indicator)}<span>{words.indicators[card.indicator]}</span></p>
<h{_HEADING_LEVEL} class="summary">{escape(card.summary)}</h{_HEADING_LEVEL}>
<div class="detail prose">{detail}</div>
{_suggestions(card, words)}{_links(card.links, words)}{_source(card.source, words)}{_override(card, words)}
<p class="feedback-answer" role="status"></p>
</article>"""


def _source(source: Source, words: CardWords) -> str:
    label = _anchor(source.url, source.label, words) if source.url else escape(source.label)
    topic = source.topic
    about = f" · {escape(topic.display or topic.code)}" if topic else ""
    return f'<p class="source"><span>{words.source}:</span> {label}{about}</p>'


def _links(links: tuple[Link, ...], words: CardWords) -> str:
    if not links:
        return ""
    items = "".join(f"<li>{_link(link, words)}</li>" for link in links)
    return f'<section class="links"><h5>{words.links}</h5><ul>{items}</ul></section>'


def _link(link: Link, words: CardWords) -> str:
    # A SMART app needs a launch from an EHR: its address alone leads nowhere.
    if link.type == "smart":
        return f"{escape(link.label)} <small>({words.smart_link})</small>"
    return _anchor(link.url, link.label, words)


def _anchor(url: str, label: str, words: CardWords) -> str:
    # The response's own rule has made sure that every URL is absolute http(s).
    return (
        f'<a href="{escape(url)}" target="_blank" rel="noopener noreferrer">{escape(label)}'
        f'<span class="visually-hidden"> ({words.opens_elsewhere})</span></a>'
    )


def _suggestions(card: Card, words: CardWords) -> str:
    if not card.suggestions:
        return ""
    items = "".join(_suggestion(card, suggestion, words) for suggestion in card.suggestions)
    return f'<section class="suggestions"><h5>{words.suggestions}</h5><ul>{items}</ul></section>'


def _suggestion(card: Card, suggestion: Suggestion, words: CardWords) -> str:
    recommended = f" <small>({words.recommended})</small>" if suggestion.is_recommended else ""
    actions = "".join(f"<li>{escape(action.description or action.type)}</li>" for action in suggestion.actions)
    button = ""
    if card.uuid and suggestion.uuid:
        button = (
            f'<button type="button" class="quiet" data-card="{escape(card.uuid)}" '
            f'data-suggestion="{escape(suggestion.uuid)}">{words.accept}</button>'
        )
    return f"<li>{escape(suggestion.label)}{recommended}{f'<ul>{actions}</ul>' if actions else ''}{button}</li>"


def _override(card: Card, words: CardWords) -> str:
    if not card.override_reasons:
        return ""
    if card.uuid is None:
        reasons = "".join(f"<li>{escape(reason.display)}</li>" for reason in card.override_reasons)
        return f'<div class="override"><h5>{words.override}</h5><ul>{reasons}</ul><p>{words.no_uuid}</p></div>'
    buttons = "".join(_reason(card.uuid, reason) for reason in card.override_reasons)
    return f"""<div class="override" role="group" aria-label="{words.override}"><h5>{words.override}</h5>
<div class="reasons">{buttons}</div></div>"""


def _reason(card_uuid: str, reason: OverrideReason) -> str:
    return (
        f'<button type="button" class="quiet" data-card="{escape(card_uuid)}" data-code="{escape(reason.code)}" '
        f'data-system="{escape(reason.system)}">{escape(reason.display)}</button>'
    )


def _actions(actions: tuple[Action, ...], title: str) -> str:
    if not actions:
        return ""
    items = "".join(f"<li>{escape(action.description or action.type)}</li>" for action in actions)
    return f'<section class="system-actions"><h5>{title}</h5><ul>{items}</ul></section>'


def _outcome(outcome: OperationOutcome) -> str:
    issues = "".join(_issue(issue) for issue in outcome.issue)
    return f'<div class="cards" lang="en">{issues}</div>'


def _issue(issue: Issue) -> str:
    where = "".join(f" <code>{escape(expression)}</code>" for expression in issue.expression)
    return f"""<article class="card card-error">
<p class="indicator">{_icon("critical")}<span>OperationOutcome: {escape(issue.severity)}</span></p>
<h{_HEADING_LEVEL} class="summary">{escape(issue.diagnostics)}</h{_HEADING_LEVEL}>
<p class="source"><span>Issue code:</span> <code>{escape(issue.code)}</code>{f" · at{where}" if where else ""}</p>
</article>"""


def _icon(indicator: str) -> str:
    return _ICON.format(shape=_ICONS[indicator])
