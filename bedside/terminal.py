"""What the command line prints: progress bars, cards, faults."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.filesize import decimal
from rich.markdown import Markdown
from rich.panel import Panel
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from cds_hooks.response import Card

COLOURS = {"info": "blue", "warning": "dark_orange", "critical": "red"}


class Steps:
    """One bar per step of a long job; called as training's Progress."""

    def __init__(self, progress: Progress, *, in_bytes: Collection[str] = ()) -> None:
        self._progress = progress
        self._in_bytes = in_bytes
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how far a step is."""
        if step not in self._tasks:
            self._tasks[step] = self._progress.add_task(step, total=total, in_bytes=step in self._in_bytes)
        self._progress.update(self._tasks[step], completed=done, total=total)


class RateColumn(ProgressColumn):
    """How fast a step goes: bytes, or things, per second."""

    def render(self, task: Task) -> Text:
        """The rate, once there is one."""
        speed = task.finished_speed or task.speed
        if speed is None:
            return Text("")
        return Text(f"{decimal(int(speed))}/s" if task.fields["in_bytes"] else f"{speed:,.3g}/s", "dim")


@contextmanager
def steps(console: Console, *, in_bytes: Collection[str] = ()) -> Iterator[Steps]:
    """Bars while the block runs, with rate and time left; they stay behind, with the time taken, as an account of it.

    Args:
        console: where.
        in_bytes: the steps that count bytes.
    """
    columns = (
        TextColumn("  {task.description:<34}"),
        BarColumn(bar_width=28),
        TimeRemainingColumn(elapsed_when_finished=True),
        RateColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield Steps(progress, in_bytes=in_bytes)


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
