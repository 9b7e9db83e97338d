"""GitHub-flavoured markdown to HTML that is safe to put on a page. The only file that knows markdown-it.

HTML in the text is shown as text. Links lead to http, https, mailto or a place on the same page; images become
their alternative text, since the pages load nothing from elsewhere. Nothing needs an inline style, which the pages'
Content-Security-Policy forbids: the alignment of table cells becomes a class.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict

_DEEPEST_HEADING = 6
_SAFE_LINK = re.compile(r"(?:https?://|mailto:|#)", re.IGNORECASE)
_ALIGNMENT = re.compile(r"text-align:(left|center|right)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading of a rendered text. `level`: as in the HTML, 1 to 6; `slug`: its id on the page."""

    level: int
    text: str
    slug: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A rendered text. `title`: text of a level-1 heading that opened it and is not in `html`."""

    html: str
    title: str | None
    headings: tuple[Heading, ...]


def render_document(text: str) -> Document:
    """Render a page of its own: an opening level-1 heading becomes the title, every other one gets an id."""
    tokens = _tokens(text)
    title = None
    if len(tokens) > 1 and tokens[0].type == "heading_open" and tokens[0].tag == "h1":
        title = _plain(tokens[1])
        tokens = tokens[3:]
    # The page has one level-1 heading, the title: any other of the text goes one level down.
    _shift_headings(tokens, by=1 if any(_level(token) == 1 for token in tokens) else 0)
    headings = _identify_headings(tokens)
    return Document(html=_html(tokens), title=title, headings=headings)


def render_fragment(text: str, *, below_level: int) -> str:
    """Render a part of a page that stands under a heading of `below_level`."""
    tokens = _tokens(text)
    _shift_headings(tokens, by=below_level)
    return _html(tokens)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.validateLink = _is_safe_link  # type: ignore[method-assign]  # markdown-it's documented way
    parser.add_render_rule("image", _image_as_text)
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", _close_table)
    return parser


def _is_safe_link(url: str) -> bool:
    return _SAFE_LINK.match(url) is not None


def _image_as_text(
    _renderer: RendererHTML, tokens: Sequence[Token], index: int, _options: OptionsDict, _env: EnvType
) -> str:
    return escape(tokens[index].content)


def _open_table(
    _renderer: RendererHTML, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: EnvType
) -> str:
    # A wide table scrolls in its own box, which the keyboard can reach, so that the page never does.
    return '<div class="table-scroll" role="group" aria-label="Table" tabindex="0"><table>\n'


def _close_table(
    _renderer: RendererHTML, _tokens: Sequence[Token], _index: int, _options: OptionsDict, _env: EnvType
) -> str:
    return "</table></div>\n"


def _tokens(text: str) -> list[Token]:
    tokens = _parser().parse(text)
    for token in tokens:
        _align_by_class(token)
        for child in token.children or ():
            _open_elsewhere(child)
    return tokens


def _html(tokens: Sequence[Token]) -> str:
    parser = _parser()
    html: str = parser.renderer.render(tokens, parser.options, {})
    return html


def _align_by_class(token: Token) -> None:
    style = token.attrs.pop("style", None)
    if style is not None and (alignment := _ALIGNMENT.fullmatch(str(style))):
        token.attrSet("class", f"align-{alignment[1]}")


def _open_elsewhere(token: Token) -> None:
    if token.type == "link_open" and not str(token.attrGet("href")).startswith("#"):
        token.attrSet("target", "_blank")
        token.attrSet("rel", "noopener noreferrer")


def _level(token: Token) -> int | None:
    return int(token.tag[1:]) if token.type in {"heading_open", "heading_close"} else None


def _shift_headings(tokens: Sequence[Token], *, by: int) -> None:
    for token in tokens:
        level = _level(token)
        if level is not None:
            token.tag = f"h{min(level + by, _DEEPEST_HEADING)}"


def _identify_headings(tokens: Sequence[Token]) -> tuple[Heading, ...]:
    headings: list[Heading] = []
    taken: set[str] = set()
    for position, token in enumerate(tokens):
        level = _level(token)
        if level is None or token.type != "heading_open":
            continue
        text = _plain(tokens[position + 1])
        slug = _slug(text, taken)
        token.attrSet("id", slug)
        headings.append(Heading(level=level, text=text, slug=slug))
    return tuple(headings)


def _plain(inline: Token) -> str:
    children = inline.children or []
    return "".join(" " if child.type == "softbreak" else child.content for child in children).strip()


def _slug(text: str, taken: set[str]) -> str:
    """An id for a heading, different from those taken; adds itself to them."""
    stem = "-".join(re.findall(r"\w+", text.lower())) or "section"
    slug, number = f"card-{stem}", 2
    while slug in taken:
        slug, number = f"card-{stem}-{number}", number + 1
    taken.add(slug)
    return slug
