"""Text keeps the contrast that WCAG 2.2 level AA asks for (1.4.3: 4.5 to 1), by day and by night."""

import re
from importlib.resources import files

import pytest

SHEET = files("serving.pages").joinpath("static", "page.css").read_text(encoding="utf-8")

PAIRS = [
    ("ink", "ground"),
    ("ink", "surface"),
    ("ink", "sunken"),
    ("ink-soft", "ground"),
    ("ink-soft", "surface"),
    ("ink-soft", "sunken"),
    ("ink-soft", "accent-soft"),
    ("accent", "ground"),
    ("accent", "surface"),
    ("accent", "accent-soft"),
    ("accent-ink", "accent"),
    ("info", "info-soft"),
    ("warning", "warning-soft"),
    ("critical", "critical-soft"),
    ("critical", "surface"),
    ("ok", "surface"),
    ("json-key", "sunken"),
    ("json-string", "sunken"),
    ("json-value", "sunken"),
]


@pytest.mark.parametrize("block", [pytest.param(0, id="light"), pytest.param(1, id="dark")])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_is_readable_on_its_ground(block: int, text: str, ground: str) -> None:
    colours = _colours(block)
    lighter, darker = sorted((_luminance(colours[text]), _luminance(colours[ground])), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_the_night_names_every_colour_of_the_day() -> None:
    assert _colours(0).keys() == _colours(1).keys()


def _colours(block: int) -> dict[str, str]:
    root = re.findall(r":root \{(.*?)\}", SHEET, re.DOTALL)[block]
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", root))


def _luminance(colour: str) -> float:
    """Relative luminance of a #rrggbb colour, WCAG 2.2."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = [
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in channels
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
