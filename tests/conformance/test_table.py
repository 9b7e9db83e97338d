"""The table of the requirements: whole, in order, and as true as the names of the tests."""

import pytest

from cds_hooks.requirements import RequirementsError, load_requirements, read_requirements
from tests.conformance.table import DOCUMENT, document, holders, ids_of


def test_the_page_is_as_the_table_and_the_tests_make_it() -> None:
    """Python -m tests.conformance.table writes it anew."""
    assert DOCUMENT.read_text(encoding="utf-8") == document()


def test_every_id_that_a_test_carries_is_in_the_table() -> None:
    assert sorted(set(holders()) - set(load_requirements())) == []


def test_every_requirement_said_to_be_tested_has_a_test_that_carries_its_id() -> None:
    tested = {each.id for each in load_requirements().values() if each.status == "test"}
    assert sorted(tested - set(holders())) == []


def test_the_specification_and_our_own_demands_are_all_there() -> None:
    requirements = load_requirements().values()
    ours = [each for each in requirements if each.level.startswith("KIT")]
    assert (len(requirements) - len(ours), len(ours)) == (127, 72)
    assert all((each.since == "-") == (each in ours) for each in requirements)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("test_R_04_a_missing_hook", ["R-04"]),
        ("test_R_04_R_06_R_08_missing", ["R-04", "R-06", "R-08"]),
        ("test_D_02_to_06_each", ["D-02", "D-03", "D-04", "D-05", "D-06"]),
        ("test_nothing_R_04_in_the_middle", []),
        ("test_plain", []),
    ],
)
def test_the_ids_of_a_test_stand_at_the_beginning_of_its_name(name: str, expected: list[str]) -> None:
    assert list(ids_of(name)) == expected


def _row(**changes: str) -> str:
    fields = {
        "id": "R-01",
        "level": "SHALL",
        "text": "It answers.",
        "section": "Calling",
        "since": "1.0",
        "held": "service",
        "status": "test",
    } | changes
    return "[[requirement]]\n" + "".join(f'{name} = "{value}"\n' for name, value in fields.items())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (_row() + _row(), "expected R-01 once"),
        (_row(id="R-02") + _row(), "in order"),
        (_row(id="B-01") + _row(), "in order"),
        (_row(id="Q-01"), "expected an id such as R-04, got 'Q-01'"),
        (_row(status="open"), "R-01: expected a note exactly where no test holds it"),
        (_row(note="why"), "expected a note exactly"),
        (_row(level="MUST"), "Invalid enum value 'MUST'"),
        (_row(colour="red"), "unknown field `colour`"),
        ("[[requirement", "requirements.toml: "),
    ],
    ids=["twice", "order", "groups", "id", "no-note", "note", "level", "unknown", "toml"],
)
def test_a_table_with_a_mistake_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(RequirementsError, match=complaint):
        read_requirements(text)
