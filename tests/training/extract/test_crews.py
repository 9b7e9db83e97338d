"""A crew gives the result of every task; a worker that is lost costs time and nothing else."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from training.extract.crew import Crew, CrewError
from training.extract.crews import ATTEMPTS, Alone, Processes, cores, crew_for


def square(number: int) -> int:
    return number * number


def dies_once(folder: Path, number: int) -> int:
    """The third task kills its process when it is first done, as a system short of memory would."""
    mark = folder / "died"
    if number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def dies(_: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@pytest.mark.parametrize("crew", [Alone(), Processes(2)], ids=["alone", "two processes"])
def test_every_task_is_done_once(crew: Crew) -> None:
    with crew:
        assert sorted(crew.run(square, range(10))) == [n * n for n in range(10)]
        assert list(crew.run(square, [])) == []


def test_tasks_of_a_killed_process_are_done_by_another(tmp_path: Path) -> None:
    with Processes(2) as crew:
        assert sorted(crew.run(partial(dies_once, tmp_path), range(8))) == [n * n for n in range(8)]
    assert (tmp_path / "died").exists()


def test_a_task_that_always_kills_its_process_is_given_up_with_advice() -> None:
    with Processes(1) as crew, pytest.raises(CrewError, match=f"{ATTEMPTS} times.*Give --memory less"):
        list(crew.run(dies, [1]))


def test_a_crew_is_as_large_as_the_machine_unless_it_is_told() -> None:
    assert crew_for().workers == cores()
    assert isinstance(crew_for(1), Alone)
    assert crew_for(3).workers == 3
