"""What the command line prints: progress bars, cards, faults."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.markdown import Markdown
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from cds_hooks.response import Card

COLOURS = {"info": "blue", "warning": "dark_orange", "critical": "red"}


class Steps:
    """One bar per step of a long job; called as training's Progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how far a step is."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total)
        self._progress.update(self._tasks[step], completed=done, total=total)


@contextmanager
def steps(console: Console) -> Iterator[Steps]:
    """Bars while the block runs; they stay behind as an account of it."""
    columns = (TextColumn("  {task.description:<34}"), BarColumn(bar_width=28), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        yield Steps(progress)


def print_card(console: Console, card: Card) -> None:
    """A card as an EHR would show it: the summary with its indicator, then the detail."""
    console.print(
        Panel(
            Group(
                Text(card.summary, style="bold"), "", Markdown(card.detail or ""), "", Text(card.source.label, "dim")
            ),
            title=f"[bold]{card.indicator.upper()}[/bold]",
            title_align="left",
            border_style=COLOURS[card.indicator],
            width=min(console.width, 100),
            padding=(1, 2),
        )
    )
