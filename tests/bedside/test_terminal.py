"""What the command line prints: a card in full, whatever is in it, and bars that end."""

import io

import pytest
from rich.console import Console
from rich.progress import Task, TaskID

from bedside.terminal import COLOURS, RateColumn, print_card, steps
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
