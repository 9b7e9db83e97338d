"""What the command line prints: progress bars, cards, faults; and no character that would steer the terminal."""

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, ConsoleRenderable, Group, RenderableType, RenderHook, RenderResult
from rich.filesize import decimal
from rich.markdown import Markdown
from rich.panel import Panel
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.text import Text

from cds_hooks.response import Card

COLOURS = {"info": "blue", "warning": "dark_orange", "critical": "red"}
# C0 but for tab and line feed, DEL, C1, and what turns the direction of writing (Unicode TR 36; CWE-150).
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def new_console(*, stderr: bool = False) -> Console:
    """A console on which text of records and of other servers is text: it cannot clear, retitle or rewrite a screen."""
    console = Console(stderr=stderr)
    console.push_render_hook(_TextOnly())
    return console


class _TextOnly(RenderHook):
    """Rich takes a few control characters out of text, and not the escape character."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Harmless(renderable) for renderable in renderables]


@dataclass(frozen=True, slots=True)
class _Harmless:
    shown: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for segment in console.render(self.shown, options):
            steers = segment.control is None and _STEERING.search(segment.text)
            yield (
                Segment(_STEERING.sub("\N{REPLACEMENT CHARACTER}", segment.text), segment.style) if steers else segment
            )


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
