"""HTML, written by functions: text is escaped unless it is HTML already, so that no record can bring its own tags."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML and may stand in a page as it is."""

    __slots__ = ()


Child = str | Html | None

_SHORT_CODE = 18


def element(name: str, *children: Child, **attributes: str | float | None) -> Html:
    """An element with its children.

    Args:
        name: of the element.
        children: text, which is escaped, or HTML; None for none.
        attributes: `class_` for `class`, `_` for `-`; None leaves one out.
    """
    said = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{said}>{join(children)}</{name}>")


def code(text: str, **attributes: str | None) -> Html:
    """A code as it is written; a short one stays on one line."""
    return element("code", text, class_="short" if len(text) <= _SHORT_CODE else None, **attributes)


def join(children: Iterable[Child]) -> Html:
    """Children one behind the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def table(heads: Iterable[str], rows: Iterable[Iterable[Child]], *, class_: str | None = None) -> Html:
    """A table that becomes a list of cards where the page is narrow: each cell knows the head of its column."""
    heads = tuple(heads)
    head = element("thead", element("tr", *(element("th", one, scope="col") for one in heads)))
    body = [
        element("tr", *(element("td", cell, data_head=one) for one, cell in zip(heads, row, strict=True)))
        for row in rows
    ]
    return element("table", head, element("tbody", *body), class_=class_)
