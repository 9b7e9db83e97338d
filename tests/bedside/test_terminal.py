"""What the command line prints: a card in full, whatever is in it, and bars that end."""

import io
import re

import pytest
import typer
from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.panel import Panel
from rich.progress import Task, TaskID
from rich.text import Text

from bedside.commands.console import fail
from bedside.terminal import COLOURS, RateColumn, new_console, print_card, steps
from cds_hooks.response import Card, Indicator, Source


def printed(card: Card, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_card(console, card)
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def card(
    indicator: Indicator = "info", summary: str = "Risk 4 in 100", detail: str | None = "- **Lactate** 4.6"
) -> Card:
    return Card(summary=summary, indicator=indicator, source=Source(label="Bedside"), detail=detail)


@pytest.mark.parametrize("indicator", ["info", "warning", "critical"])
def test_a_card_shows_indicator_summary_detail_and_source_in_order(indicator: Indicator) -> None:
    text = printed(card(indicator))
    places = [text.index(part) for part in (indicator.upper(), "Risk 4 in 100", "Lactate 4.6", "Bedside")]
    assert places == sorted(places)
    assert indicator in COLOURS


def test_a_card_without_detail_is_a_card() -> None:
    assert "Risk 4 in 100" in printed(card(detail=None))


def test_words_in_brackets_are_words_and_no_markup() -> None:
    assert "pH [pH] [red]" in printed(card(summary="pH [pH] [red]"))


@pytest.mark.parametrize("width", [40, 80, 300])
def test_a_card_fits_the_window_and_is_never_wider_than_a_page(width: int) -> None:
    lines = printed(card(summary="A long summary, " * 8), width).splitlines()
    assert {len(line) for line in lines} == {min(width, 100)}


# Clears the screen, renames the window, goes back to the line's start, writes from right to left, is a C1 CSI.
STEERING = "\x1b[2J\x1b]0;owned\x07\r\b\x00\x7f\x9b2J\u202e\u2066"


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "file"])
@pytest.mark.parametrize(
    "shown",
    [
        f"Kreatinin{STEERING}",
        Text(f"Kreatinin{STEERING}", "red"),
        Markdown(f"**Kreatinin**{STEERING}"),
        Panel(Group(f"Kreatinin{STEERING}"), title=f"t{STEERING}"),
    ],
    ids=["str", "text", "markdown", "panel"],
)
def test_text_from_elsewhere_cannot_steer_the_terminal(
    shown: RenderableType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, terminal: bool
) -> None:
    """What rich writes itself, colours, is left: taken out, no control character remains."""
    monkeypatch.setenv("FORCE_COLOR", "1" if terminal else "")
    new_console().print(shown, markup=False)
    output = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    assert "Kreatinin" in output
    assert [character for character in output if not character.isprintable() and character != "\n"] == []


def test_what_steers_is_shown_to_have_been_there(capsys: pytest.CaptureFixture[str]) -> None:
    new_console().print("a\x1b[2Jb", markup=False)
    assert "a\N{REPLACEMENT CHARACTER}[2Jb" in capsys.readouterr().out


def test_a_fault_that_quotes_a_file_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        fail("not a bundle: \x1b[2J")
    assert "\x1b[2J" not in capsys.readouterr().err


def test_bars_still_move_on_a_harmless_console(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with steps(new_console()) as progress:
        progress("reading", 1, 2)
        progress("reading", 2, 2)
    assert "reading" in capsys.readouterr().out


def test_a_bar_per_step_stays_behind_as_an_account() -> None:
    file = io.StringIO()
    with steps(Console(file=file, width=80)) as progress:
        for done in range(3):
            progress("reading", done, 2)
        progress("training", 1, 1)
        progress("nothing to do", 0, 0)
    text = file.getvalue()
    assert [text.count(step) for step in ("reading", "training", "nothing to do")] == [1, 1, 1]


@pytest.mark.parametrize(("in_bytes", "expected"), [(True, "2.5 MB/s"), (False, "2.5e+06/s")], ids=["bytes", "things"])
def test_a_step_shows_its_rate_in_what_it_counts(expected: str, *, in_bytes: bool) -> None:
    fields = {"in_bytes": in_bytes}
    task = Task(TaskID(0), "reading", total=1, completed=1, fields=fields, finished_speed=2.5e6, _get_time=lambda: 0.0)
    assert RateColumn().render(task).plain == expected
