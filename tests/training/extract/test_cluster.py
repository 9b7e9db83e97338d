"""On Dask the result is that of one machine, byte by byte, and a worker that is killed loses nothing.

A local cluster of processes: the protocol, the scheduling and the loss of workers are real, the network is not.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.extract.sources import SCARCE, contents, extracted, no_progress
from training.dataset import DatasetError
from training.extract import job
from training.extract.crew import CrewError
from training.extract.crews import crew_for
from training.extract.extraction import READING, Options, extract

distributed = pytest.importorskip("distributed", reason="Dask, the extra `cluster`, is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """Two workers, a process each, that are started anew if they are lost."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
    ) as cluster:
        yield cluster.scheduler_address


def run(source: Path, target: Path, scheduler: str, progress: object = no_progress) -> None:
    with crew_for(scheduler=scheduler) as crew:
        assert crew.workers == 2
        assert callable(progress)
        extract(
            source,
            target,
            crew=crew,
            options=Options(memory_bytes=SCARCE),
            keep_going=False,
            progress=progress,
        )


def test_a_cluster_writes_the_same_bytes_as_one_process(cohort: Path, tmp_path: Path, scheduler: str) -> None:
    run(cohort, tmp_path / "cluster", scheduler)
    extracted(cohort, tmp_path / "alone", memory_bytes=SCARCE)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "alone")


def test_a_killed_worker_loses_nothing(
    cohort: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it reads: what it had read is spilled, what it was at is done by the other."""
    monkeypatch.setattr(job, "SMALLEST_RANGE", 5_000)
    killed: list[int] = []
    with distributed.Client(scheduler, set_as_default=False) as client:
        pids = client.run(os.getpid)

        def kill_one(step: str, done: int, total: int) -> None:
            if step == READING and not killed and 0 < done < total:
                killed.append(min(pids.values()))
                os.kill(killed[0], signal.SIGKILL)

        run(cohort, tmp_path / "killed", scheduler, kill_one)
        deadline = time.monotonic() + 30
        while len(client.run(os.getpid)) < 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert killed[0] not in client.run(os.getpid).values()
    extracted(cohort, tmp_path / "alone", memory_bytes=SCARCE)
    assert contents(tmp_path / "killed") == contents(tmp_path / "alone")


def test_where_no_scheduler_answers_that_is_said() -> None:
    with pytest.raises(CrewError, match=r"expected a Dask scheduler with workers"), crew_for(scheduler="nowhere"):
        pass


def test_a_task_that_fails_on_a_worker_is_told(tmp_path: Path, scheduler: str) -> None:
    """As where the folder of the target is not shared."""
    gone = job.Job(
        spill=tmp_path / "gone",
        target=tmp_path,
        partitions=1,
        segment_bytes=1,
        version="R4",
        rules=job.reading_rules(),
    )
    with (
        crew_for(scheduler=scheduler) as crew,
        pytest.raises(DatasetError, match="that every worker sees"),
    ):
        list(crew.run(_check, [gone]))


def _check(one: job.Job) -> None:
    one.check()
