"""The audit says "none" only when every package was asked about."""

import json

import pytest

from tests.architecture.audit import judged

CLEAN = {"name": "numpy", "version": "2.4.6", "vulns": []}
HOLE = {"name": "starlette", "version": "0.1", "vulns": [{"id": "PYSEC-2099-1", "fix_versions": ["0.2"]}]}
UNMENDED = {"name": "starlette", "version": "0.1", "vulns": [{"id": "PYSEC-2099-1", "fix_versions": []}]}
UNKNOWN = {"name": "ours", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        pytest.param([CLEAN], 0, "1 of 1 packages were asked about, 0 vulnerabilities are known.", id="clean"),
        pytest.param([CLEAN, HOLE], 1, "starlette 0.1: PYSEC-2099-1, mended in 0.2", id="a hole"),
        pytest.param([UNMENDED], 1, "starlette 0.1: PYSEC-2099-1, mended in no version yet", id="not mended"),
        pytest.param([CLEAN, UNKNOWN], 2, "1 of 2 packages were asked about, 0 vulnerabilities", id="half asked"),
        pytest.param([UNKNOWN], 2, "Of 1 nothing is known (not found): try again", id="database out of reach"),
        pytest.param([HOLE, UNKNOWN], 1, "1 of 2 packages were asked about, 1 vulnerabilities", id="hole, half asked"),
        pytest.param([], 2, "0 of 0 packages", id="an empty lock"),
    ],
)
def test_what_was_not_asked_is_not_clean(packages: list[object], status: int, said: str) -> None:
    result = judged(json.dumps({"dependencies": packages, "fixes": []}), "")
    assert result.status == status
    assert any(said in line for line in result.lines), result.lines


@pytest.mark.parametrize("errors", ["", "Traceback\nConnectionError: no route"])
def test_no_report_at_all_is_said(errors: str) -> None:
    result = judged("", errors)
    assert result.status == 2
    assert result.lines[0].startswith("The database could not be asked")
