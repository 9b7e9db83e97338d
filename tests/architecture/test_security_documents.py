"""What the documents of security promise is there: every test that they name, every file, every column."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from serving.journal_tables import METADATA

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("SECURITY.md", "docs/threat-model.md", "docs/privacy.md", "docs/decisions/0012-signed-bundles.md")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
# | C1 S | threat | control | test |
THREAT = re.compile(r"^\| ([A-Z]\d+) [STRIDE](?:, [STRIDE])* \| [^|]+ \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def functions_in(path: str) -> frozenset[str]:
    nodes = ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    return frozenset(node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_test_that_is_named_exists(document: str) -> None:
    named = TEST.findall(text_of(document))
    lost = [f"{path}::{name}" for path, name in named if not (ROOT / path).is_file() or name not in functions_in(path)]
    assert lost == []


def test_every_threat_has_a_test_or_is_said_to_be_the_sites() -> None:
    threats = dict(THREAT.findall(text_of("docs/threat-model.md")))
    assert len(threats) > 40
    assert [name for name, held in threats.items() if not TEST.search(held) and not held.startswith("site: ")] == []


def test_every_threat_of_the_model_is_read_by_these_tests() -> None:
    text = text_of("docs/threat-model.md")
    rows = re.findall(r"^\| [A-Z]\d+ ", text, re.MULTILINE)
    assert len(rows) == len(THREAT.findall(text)) == len(set(rows))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    folder = (ROOT / document).parent
    for link in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text_of(document)):
        assert (folder / link).exists(), link


@pytest.mark.parametrize("table", sorted(METADATA.tables))
def test_the_privacy_page_names_every_column_of_the_journal_and_no_other(table: str) -> None:
    text = text_of("docs/privacy.md")
    section = re.search(rf"^### `{table}`.*?(?=^##)", text, re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/privacy.md: expected a section about the table {table}."
    named: list[str] = []
    for cell in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section[0], re.MULTILINE):
        named += re.findall(r"`(\w+)`", cell)
    assert sorted(named) == sorted(column.name for column in METADATA.tables[table].columns)
