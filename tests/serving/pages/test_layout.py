"""Layout: what takes long is done once, whoever asks for a page, and however often."""

import pytest

from serving.pages import layout
from serving.pages.layout import Layout
from serving.pages.markdown import Document, render_document
from tests.serving.pages.sample_host import PAGE_SERVICE


def test_a_model_card_is_rendered_once_however_often_its_page_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered: list[str] = []

    def render(text: str) -> Document:
        rendered.append(text)
        return render_document(text)

    monkeypatch.setattr(layout, "render_document", render)
    pages = {Layout(simulator=simulator).model_page(PAGE_SERVICE) for simulator in (True, False) for _ in range(3)}
    assert len(pages) == 2
    assert len(rendered) <= 1
