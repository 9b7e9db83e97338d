"""docs/codes.md prints the table of code systems as it is, and its example of a hospital's own codes is one.

`python -m tests.features.vocabulary.test_code_docs` writes the table anew.
"""

import re
from itertools import compress
from pathlib import Path

from features.vocabulary import code_rules
from features.vocabulary.code_system_table import CODE_SYSTEMS, CodeSystem
from features.vocabulary.concept import load_vocabulary

PAGE = Path(__file__).parents[3] / "docs" / "codes.md"
BEGIN, END = "<!-- code systems: begin -->", "<!-- code systems: end -->"
HEAD = (
    "| system | URI in concepts | also known as | example, format | check digit | hierarchy | codes of | source |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
)


def table() -> str:
    """The table of code systems in Markdown."""
    return "\n".join([*HEAD, *(f"| {' | '.join(cells(system))} |" for system in CODE_SYSTEMS)])


def cells(system: CodeSystem) -> list[str]:
    has_check_digit = system.check is not code_rules.nothing_to_check
    pattern = system.pattern.replace("|", r"\|")  # a bar would end the cell
    return [
        system.name,
        f"`{system.uri}`",
        "<br>".join(f"`{alias}`" for alias in system.aliases),
        f"`{system.example}`<br>`{pattern}`",
        "yes" if has_check_digit else "",
        ", ".join(compress(("subtree", "range"), (system.ancestors is not None, system.ranges))),
        ", ".join(sorted(system.kinds)) or "answers, units",
        system.source,
    ]


def with_table(page: str) -> str:
    """The page with the table as it should be."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def test_the_page_prints_the_table_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page) == page, "python -m tests.features.vocabulary.test_code_docs writes it anew"


def test_the_pages_example_of_a_hospitals_own_codes_can_be_loaded(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (tmp_path / "laboratory.toml").write_text(example, encoding="utf-8")
    vocabulary = load_vocabulary(tmp_path)
    found = vocabulary.lookup("https://hospital.example/fhir/CodeSystem/laboratory", "KREA")
    assert [concept.id for concept in found] == ["creatinine"]
    assert "cystatin_c" in vocabulary


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
