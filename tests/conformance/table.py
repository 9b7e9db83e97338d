"""Makes docs/conformance.md from requirements.toml and from the names of the tests.

python -m tests.conformance.table writes it anew.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from cds_hooks.requirements import BINDING, GROUPS, Requirement, load_requirements

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "conformance.md"
_TEST = re.compile(r"^def (test_\w+)", re.MULTILINE)
# test_R_04_R_06_..., test_D_02_to_06_...
_IDS = re.compile(r"_(?:([A-Z])_(\d\d)|to_(\d\d))(?=_)")
_HEADINGS = {"test": "tests", "not-applicable": "not applicable", "deployment": "left to deployment", "open": "open"}

_INTRODUCTION = """# Conformance to CDS Hooks

<!-- Made by `python -m tests.conformance.table` from cds_hooks/requirements.toml and the names of the tests. -->

Every requirement on the service side of CDS Hooks that we know of, in our own words, with how this project meets it:
2.0.1 in full, and the 3.0 ballot wherever it does not contradict. The specification is
[HL7/cds-hooks](https://github.com/HL7/cds-hooks) (main of 2026-06-24 and tag 2.0.1), the hooks are
[HL7/cds-hooks-library](https://github.com/HL7/cds-hooks-library) (main of 2026-04-22).

## Check any server

    bedside conform https://cds.example

calls discovery and each service that it lists, with valid requests and with broken ones, and prints this table with
what it saw: met, not met, not applicable, or could not be seen, and the evidence. It works with any CDS Hooks server.

- All patients are invented, and the FHIR server that is named does not exist. Feedback is sent about cards that the
  check was shown, and about none: a server that counts outcomes will count them. One body has 16 MiB.
- `--service ID` checks one service. `--request FILE` gives a request (synthetic too) that gets a card, where the
  checker's own gets none: what cards look like is only seen on cards. `--json FILE` keeps the report.
- `--issuer ISSUER --key-file FILE` calls as a registered client: each request has a token of its own, signed with this
  private key (JWK, or PEM with `--key-id`) for the URL that is called. A registration for the check alone is best.
- `--token-file FILE` holds a bearer token that is sent with every call. A server that takes each token once refuses the
  second call. Tokens go by https or to this machine.
- `--ca-file FILE` names the certificates of the hospital's own authority, as PEM. Proxies and passwords of the
  environment are not used.
- `--origin ORIGIN` is the web origin for CORS, where the server lists origins.
- It takes at most `--seconds` (600), reads at most 1 MiB of an answer, follows no redirect and unpacks nothing.
- It ends with 0 if nothing is not met; with 3 if a SHALL, SHALL NOT or KIT is not met; with 4 if only a SHOULD, MAY or
  KIT~ is not met; with 1 if the check could not be made.
"""

_COLUMNS = ("Id", "Level", "Requirement", "Section", "Since", "Held", "How", "Seen")
_HEAD = f"| {' | '.join(_COLUMNS)} |\n|{' --- |' * len(_COLUMNS)}"

_LEGEND = """## The table

Level: SHALL, SHOULD and MAY are the specification's; KIT is ours and binds, KIT~ is ours and warns. Since: the first
version with the rule; 3.0b is the text of the ballot. Held: who is held to it. Seen: whether `bedside conform` looks.
"""


def document() -> str:
    """The whole page."""
    requirements, tests = load_requirements(), holders()
    parts = [_INTRODUCTION, _LEGEND, *_sums(requirements)]
    for letter, title in GROUPS.items():
        chosen = [each for each in requirements.values() if each.id[0] == letter]
        rows = [_row(each, tests.get(each.id, ())) for each in chosen]
        parts.append(f"### {title}\n\n{_HEAD}\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def holders() -> Mapping[str, tuple[str, ...]]:
    """For each id the test files that hold it, by the names of their tests."""
    found: dict[str, dict[str, None]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for name in _TEST.findall(file.read_text(encoding="utf-8")):
            for requirement_id in ids_of(name):
                found.setdefault(requirement_id, {})[file.relative_to(ROOT).as_posix()] = None
    return {requirement_id: tuple(files) for requirement_id, files in found.items()}


def ids_of(test: str) -> Iterator[str]:
    """The ids that a test's name carries: at its beginning, and ranges as D_02_to_06."""
    letter, number, end = "", 0, len("test")
    for each in _IDS.finditer(test):
        if each.start() != end:
            return
        end = each.end()
        first = int(each[2] or number + 1)
        letter, number = each[1] or letter, int(each[2] or each[3])
        yield from (f"{letter}-{one:02d}" for one in range(first, number + 1))


def _sums(requirements: Mapping[str, Requirement]) -> Iterator[str]:
    ours = sum(each.level.startswith("KIT") for each in requirements.values())
    yield (
        f"{len(requirements)} requirements: {len(requirements) - ours} of the specification and {ours} of ours; "
        f"{sum(each.level in BINDING for each in requirements.values())} of them bind. "
        f"`bedside conform` looks at {sum(each.unseen is None for each in requirements.values())}.\n"
    )
    counts = Counter(each.status for each in requirements.values())
    head = " | ".join(_HEADINGS.values())
    row = " | ".join(str(counts[status]) for status in _HEADINGS)  # type: ignore[index]  # the keys are the statuses
    yield f"| {head} |\n|{' --- |' * len(_HEADINGS)}\n| {row} |\n"


def _row(requirement: Requirement, tests: tuple[str, ...]) -> str:
    how = ", ".join(f"[{Path(each).stem.removeprefix('test_')}](../{each})" for each in tests)
    if requirement.status != "test":
        how = f"**{_HEADINGS[requirement.status]}**: {requirement.note}" + (f"; {how}" if how else "")
    seen = "yes" if requirement.unseen is None else f"no: {requirement.unseen}"
    cells = (
        requirement.id, requirement.level, requirement.text, requirement.section, requirement.since, requirement.held,
        how, seen,
    )  # fmt: skip
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("{{", "`{{`").replace("}}", "`}}`")


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
