"""Markdown becomes HTML that cannot act, and says what the text says."""

import pytest

from serving.pages.markdown import Heading, render_document, render_fragment


@pytest.mark.parametrize(
    ("text", "html"),
    [
        pytest.param("**14 of 100**", "<p><strong>14 of 100</strong></p>\n", id="strong"),
        pytest.param("*sodium*, ~~old~~", "<p><em>sodium</em>, <s>old</s></p>\n", id="emphasis and strikethrough"),
        pytest.param("`██▌`", "<p><code>██▌</code></p>\n", id="a bar in plain characters"),
        pytest.param("- lactate\n", "<ul>\n<li>lactate</li>\n</ul>\n", id="list"),
        pytest.param("# Why", "<h4>Why</h4>\n", id="a heading stands under the card's heading"),
        pytest.param("#### Deep", "<h6>Deep</h6>\n", id="no heading is deeper than six"),
        pytest.param("MAP < 65 & rising", "<p>MAP &lt; 65 &amp; rising</p>\n", id="characters of HTML are text"),
        pytest.param("<script>x()</script>", "<p>&lt;script&gt;x()&lt;/script&gt;</p>\n", id="a script is text"),
        pytest.param(
            'a <img src=x onerror="x()">',
            "<p>a &lt;img src=x onerror=&quot;x()&quot;&gt;</p>\n",
            id="inline HTML is text",
        ),
        pytest.param("![plot](https://a.example/p.png)", "<p>plot</p>\n", id="an image becomes its words"),
        pytest.param('![<b>"](https://a.example/p.png)', "<p>&lt;b&gt;&quot;</p>\n", id="an image's words are escaped"),
        pytest.param(
            "[facts](https://a.example/m?a=1&b=2)",
            '<p><a href="https://a.example/m?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">facts</a></p>\n',
            id="a link opens elsewhere and gives nothing away",
        ),
        pytest.param("[up](#title)", '<p><a href="#title">up</a></p>\n', id="a link on the page stays on it"),
    ],
)
def test_a_detail_keeps_its_meaning_and_loses_its_power(text: str, html: str) -> None:
    assert render_fragment(text, below_level=3) == html


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "&#106;avascript:alert(1)",
        "vbscript:x",
        "data:text/html;base64,PHNjcmlwdD4=",
        "file:///etc/passwd",
        "//elsewhere.example",
        "/cds-services/sepsis",
    ],
)
def test_a_link_to_anything_but_the_web_or_mail_stays_text(url: str) -> None:
    assert "<a" not in render_fragment(f"[click]({url}) <{url}>", below_level=3)


def test_a_table_aligns_by_class_because_the_pages_forbid_inline_styles() -> None:
    html = render_fragment("| Finding | Value |\n| --- | ---: |\n| Lactate | 3.4 |\n", below_level=3)
    assert '<th class="align-right">Value</th>' in html
    assert '<td class="align-right">3.4</td>' in html
    assert "style" not in html
    assert html.count("<div") == html.count("</div>") == 1


def test_a_document_gives_its_first_heading_as_title_and_lists_the_others() -> None:
    document = render_document("# Sepsis *12 h*\n\n## Use\n\nA & B\n\n### Who\n\n## Use\n")
    assert document.title == "Sepsis 12 h"
    assert document.headings == (
        Heading(level=2, text="Use", slug="card-use"),
        Heading(level=3, text="Who", slug="card-who"),
        Heading(level=2, text="Use", slug="card-use-2"),
    )
    assert document.html == (
        '<h2 id="card-use">Use</h2>\n<p>A &amp; B</p>\n<h3 id="card-who">Who</h3>\n<h2 id="card-use-2">Use</h2>\n'
    )


@pytest.mark.parametrize(
    ("text", "title", "levels"),
    [
        pytest.param("", None, (), id="empty"),
        pytest.param("Plain words", None, (), id="no heading"),
        pytest.param("## Use", None, (2,), id="no title"),
        pytest.param("# A\n# B\n## C", "A", (2, 3), id="a second heading of level one goes down with those below it"),
        pytest.param("Words\n\n# A", None, (2,), id="a late heading of level one is no title"),
    ],
)
def test_a_page_has_one_heading_of_level_one(text: str, title: str | None, levels: tuple[int, ...]) -> None:
    document = render_document(text)
    assert document.title == title
    assert tuple(heading.level for heading in document.headings) == levels
