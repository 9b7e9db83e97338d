"""Whatever the bytes, the answer is 2xx with valid cards or 4xx with a valid OperationOutcome."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cds_hooks.outcome import MEDIA_TYPE
from tests.fuzz.mutate import mutated
from tests.fuzz.target import CORPUS, Answer, BrokenPromiseError, Target, judge, open_target, path_of

ROOT = Path(__file__).parents[2]
SEEDS = sorted(CORPUS.iterdir())
RUNS = 3_000
LIMIT_BYTES = 200_000

_bounded = settings(max_examples=400, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with open_target(tmp_path_factory.mktemp("fuzz")) as opened:
        yield opened


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed.name)
def test_every_body_of_the_corpus_is_answered_as_promised(seed: Path, target: Target) -> None:
    """The corpus also holds what once was not."""
    target.execute(seed.read_bytes())


def test_the_corpus_is_small_and_reaches_cards_of_every_kind_and_refusals(target: Target) -> None:
    assert sum(seed.stat().st_size for seed in SEEDS) < LIMIT_BYTES
    answers = [target.execute(seed.read_bytes()) for seed in SEEDS]
    assert {400, 200, 412} <= {answer.status for answer in answers}
    told = b"".join(answer.body for answer in answers)
    for words in (b"no estimate, data are missing", b"an order could not be read", b'"indicator":"warning"'):
        assert words in told


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        pytest.param(b"{}", Answer(500, MEDIA_TYPE, b"{}"), id="a fault"),
        pytest.param(b"{}", Answer(400, MEDIA_TYPE, b"{}"), id="no OperationOutcome"),
        pytest.param(
            b"{}", Answer(400, "text/plain", b'{"resourceType":"OperationOutcome","issue":[]}'), id="no issue"
        ),
        pytest.param(b"{}", Answer(200, "application/json", b'{"cards":[{"summary":"x"}]}'), id="half a card"),
        pytest.param(b'{"feedback"', Answer(200, "application/json", b"{}"), id="feedback with an answer"),
        pytest.param(
            (CORPUS / "tiny-ordinary.json").read_bytes(), Answer(200, "application/json", b'{"cards":[]}'), id="no card"
        ),
    ],
)
def test_the_judge_lets_no_broken_promise_pass(body: bytes, answer: Answer) -> None:
    with pytest.raises(BrokenPromiseError):
        judge(path_of(body), body, answer)


def test_a_mutation_is_drawn_from_its_seed_and_keeps_to_the_limit() -> None:
    body = (CORPUS / "tiny-ordinary.json").read_bytes()

    def unchanged(data: bytes, limit: int) -> bytes:
        return data[:limit]

    found = [mutated(body, 4_000, seed, unchanged) for seed in range(200)]
    assert found == [mutated(body, 4_000, seed, unchanged) for seed in range(200)]
    assert max(len(each) for each in found) <= 4_000
    assert len(set(found)) > 100
    assert json.loads(body) == json.loads((CORPUS / "tiny-ordinary.json").read_bytes())


@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.data())
@_bounded
def test_a_good_request_with_anything_in_it_changed_is_answered_as_promised(
    target: Target, seed: Path, number: int, data: st.DataObject
) -> None:
    def changed(body: bytes, limit: int) -> bytes:
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(body))] * 2)))
        return (body[:start] + data.draw(st.binary(max_size=8)) + body[end:])[:limit]

    target.execute(mutated(seed.read_bytes(), LIMIT_BYTES, number, changed))


@given(st.binary(max_size=300))
@_bounded
def test_any_bytes_are_answered_as_promised(target: Target, body: bytes) -> None:
    target.execute(body)


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris, the extra `fuzz`, has wheels for Linux on x86-64 only"
)
def test_a_short_run_guided_by_coverage_finds_nothing(tmp_path: Path) -> None:
    """The long ones are in docs/fuzzing.md."""
    command = ("-m", "tests.fuzz", "--runs", str(RUNS), "--seed", "5", "--findings", str(tmp_path))
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        timeout=300,
        check=False,
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, said[-5_000:]
    assert f"Done {RUNS} runs" in said
    assert not list(tmp_path.iterdir())
