"""Writers of one journal queue for it: one at a time, over threads and processes, and a dead one holds nobody up."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

from serving.journal_turn import Turn

ROOT = Path(__file__).parents[2]
_HOLD = """
import sys
from pathlib import Path
from serving.journal_turn import Turn

with Turn(Path(sys.argv[1])).taken():
    print("mine", flush=True)
    sys.stdin.read()
"""


def test_two_writers_are_never_at_it_together(tmp_path: Path) -> None:
    inside: list[str] = []
    found: list[list[str]] = []

    def write(name: str) -> None:
        turn = Turn(tmp_path / "turn")
        for _ in range(200):
            with turn.taken():
                inside.append(name)
                found.append(list(inside))
                inside.remove(name)
        turn.close()

    threads = [threading.Thread(target=write, args=(name,)) for name in ("one", "another")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 400
    assert {len(names) for names in found} == {1}


def test_a_writer_waits_for_another_process_and_goes_on_when_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "turn")]
    other = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "mine\n"
        got = threading.Event()

        def write() -> None:
            turn = Turn(tmp_path / "turn")
            with turn.taken():
                got.set()
            turn.close()

        waiting = threading.Thread(target=write)
        waiting.start()
        assert not got.wait(0.2)
        other.send_signal(signal.SIGKILL)
        waiting.join(timeout=30)
        assert got.is_set()


def test_without_a_file_nobody_waits(tmp_path: Path) -> None:
    with Turn(None).taken(), Turn(None).taken():
        assert list(tmp_path.iterdir()) == []


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    turn = Turn(tmp_path / "turn")
    with turn.taken():
        assert (tmp_path / "turn").stat().st_mode & 0o777 == 0o600
    turn.close()
    turn.close()
