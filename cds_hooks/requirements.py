"""The requirements on the service side of CDS Hooks: what each says, who is held to it and how we meet it.

Source: HL7/cds-hooks, main of 2026-06-24 (3.0.0 ballot) and tag 2.0.1; HL7/cds-hooks-library, main of 2026-04-22.
The table itself is requirements.toml.
"""

import re
import tomllib
from collections.abc import Mapping
from importlib.resources import files
from typing import Literal

import msgspec

Level = Literal["SHALL", "SHALL NOT", "SHOULD", "SHOULD NOT", "MAY", "KIT", "KIT~"]
Held = Literal["service", "client", "deployment"]
Status = Literal["test", "not-applicable", "deployment", "open"]

# A service that breaks one of these is not conformant; the other levels advise or allow.
BINDING: frozenset[Level] = frozenset({"SHALL", "SHALL NOT", "KIT"})

GROUPS: Mapping[str, str] = {
    "J": "JSON",
    "D": "Discovery",
    "P": "Prefetch templates",
    "R": "Calling a service",
    "X": "Prefetch data and FHIR access",
    "C": "Response and cards",
    "S": "Suggestions and actions",
    "L": "Links",
    "Y": "System actions",
    "E": "Extensions",
    "H": "Errors",
    "B": "Feedback",
    "A": "Client authentication",
    "T": "Transport",
    "O": "Browsers (CORS)",
    "Z": "Safety",
}
"""What the letter of an id stands for, in the order of the table."""

_ID = re.compile(rf"[{''.join(GROUPS)}]-\d\d")


class RequirementsError(ValueError):
    """The table is not as it should be; the message names the requirement and what was expected."""


class Requirement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One requirement.

    `section`: where the specification says it, or why we ask it; `since`: the first version with the rule, `-` for
    ours. `note`: why it does not apply, how a deployment meets it, or what lacks; None where tests hold it.
    `unseen`: why nobody can see it from outside; None where `bedside conform` looks.
    """

    id: str
    level: Level
    text: str
    section: str
    since: str
    held: Held
    status: Status
    note: str | None = None
    unseen: str | None = None

    @property
    def binding(self) -> bool:
        """Whether breaking it makes a service non-conformant."""
        return self.level in BINDING


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    requirement: tuple[Requirement, ...]


def load_requirements() -> Mapping[str, Requirement]:
    """The table, by id, in order.

    Raises:
        RequirementsError: an id twice or out of order, or a status without the note that it needs.
    """
    return read_requirements(files("cds_hooks").joinpath("requirements.toml").read_text(encoding="utf-8"))


def read_requirements(text: str) -> Mapping[str, Requirement]:
    """A table in TOML, checked; see load_requirements."""
    try:
        table = msgspec.convert(tomllib.loads(text), _Table)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise RequirementsError(f"requirements.toml: {error}") from error
    found: dict[str, Requirement] = {}
    for requirement in table.requirement:
        _check(requirement)
        if requirement.id in found:
            raise RequirementsError(f"requirements.toml: expected {requirement.id} once, got it twice.")
        found[requirement.id] = requirement
    if list(found) != sorted(found, key=order):
        raise RequirementsError("requirements.toml: expected the ids in order, by group and number.")
    return found


def order(requirement_id: str) -> tuple[int, str]:
    """What ids are sorted by: the groups as the specification goes, then the number."""
    return list(GROUPS).index(requirement_id[0]), requirement_id


def _check(requirement: Requirement) -> None:
    if not _ID.fullmatch(requirement.id):
        raise RequirementsError(f"requirements.toml: expected an id such as R-04, got {requirement.id!r}.")
    if (requirement.note is None) != (requirement.status == "test"):
        raise RequirementsError(
            f"requirements.toml, {requirement.id}: expected a note exactly where no test holds it; "
            f"its status is {requirement.status}."
        )
