"""OperationOutcome: what a client hears of an error."""

import json

import pytest

from cds_hooks import errors
from cds_hooks.errors import CdsHooksError, InvalidAnswer, MissingData, MissingField
from cds_hooks.outcome import encode_outcome


def _tree(root: type[CdsHooksError]) -> list[type[CdsHooksError]]:
    return [root, *(below for child in root.__subclasses__() for below in _tree(child))]


def test_the_table_of_statuses_is_what_the_module_says() -> None:
    """The tree in the docstring of errors is the tree."""
    for error in _tree(CdsHooksError)[1:]:
        if error.__module__ != errors.__name__:
            continue  # the errors of client authentication are told where they are raised
        assert errors.__doc__ is not None
        (line,) = [line for line in errors.__doc__.splitlines() if f" {error.__name__} " in line]
        assert f" {error.status} " in line
        assert f" {error.code} " in f"{line} "


def test_an_error_becomes_one_issue_with_its_place() -> None:
    error = MissingField("Expected the field hook, which is REQUIRED; it is missing.", location="hook")
    assert json.loads(encode_outcome(error)) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "required",
                "diagnostics": "Expected the field hook, which is REQUIRED; it is missing.",
                "expression": ["hook"],
            }
        ],
    }


def test_an_error_without_a_place_has_no_empty_expression() -> None:
    (issue,) = json.loads(encode_outcome(MissingData("Needed: creatinine.")))["issue"]
    assert sorted(issue) == ["code", "diagnostics", "severity"]


@pytest.mark.parametrize("kind", [CdsHooksError, InvalidAnswer])
def test_a_fault_of_ours_tells_nothing_about_itself(kind: type[CdsHooksError]) -> None:
    body = encode_outcome(kind("CANARY in /srv/app.py", location="CANARY"))
    assert b"CANARY" not in body
    assert json.loads(body)["issue"][0]["severity"] == "fatal"
