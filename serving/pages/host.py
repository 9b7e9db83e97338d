"""What the pages show, and who provides it."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A synthetic patient to try a service with. `request`: JSON of a CDS Hooks request in UTF-8."""

    id: str
    title: str
    note: str
    request: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PageService:
    """One service as people read about it.

    `released`: ISO date, or "" before the first release. `status_line`: what the model is and is not
    ("research model, not a medical device"). `model_card`: GitHub-flavoured markdown.
    """

    id: str
    title: str
    description: str
    hooks: tuple[str, ...]
    version: str
    released: str
    status_line: str
    model_card: str
    samples: tuple[Sample, ...]

    def sample(self, sample_id: str) -> Sample | None:
        """The sample with this id, or None."""
        return next((sample for sample in self.samples if sample.id == sample_id), None)


class PageHost(Protocol):
    """What the server implements for the pages."""

    def services(self) -> tuple[PageService, ...]:
        """The services as they are now, in the order in which they are shown."""
