"""scan.c steps over no bound, whatever bytes it is given: the compiler's sanitizers watch it."""

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from features.reading.scan import searchset
from tests.features.reading.scan.both_ways import bundle
from tests.features.reading.scan.test_same import BITS, FIELDS, USUAL

SEARCHSETS = 4_000
FLAGS = ("-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """scan.c with its sanitizers, as a program."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    program = tmp_path_factory.mktemp("scan") / "watched"
    source = Path(__file__).with_name("under_sanitizers.c")
    includes = f"-I{Path(searchset.__file__).parent}"
    command = [compiler, *FLAGS, includes, "-o", str(program), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "san" in done.stderr and "error:" not in done.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert done.returncode == 0, done.stderr
    return program


def damaged(chance: random.Random) -> Iterator[bytes]:
    for number in range(SEARCHSETS):
        resources: list[Any] = []
        for _ in range(chance.randint(0, 4)):
            fields = {name: chance.choice(FIELDS[name]) for name in chance.sample(list(FIELDS), chance.randint(0, 3))}
            resources.append(USUAL | fields)
        text = bytearray(bundle(*resources))
        if number % 2:
            text = bytearray(b'{"hook":"x","prefetch":{"a":%b, "b":null,"c":%b}}' % (bytes(text), bundle(USUAL)))
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            at, length = chance.randint(0, len(text)), chance.choice((0, 1, 5, 40))
            text[at : at + length] = chance.choice((b"", chance.choice(BITS), chance.randbytes(1), text[at - 9 : at]))
        yield bytes(text[: chance.randint(0, len(text))] if chance.random() < 0.1 else text)


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_read_or_written_beyond_its_bounds(watched: Path, tmp_path: Path, seed: int) -> None:
    """Searchsets that were cut, doubled and mixed up end in an answer; thousands of them are still read."""
    file = tmp_path / "searchsets"
    texts = damaged(random.Random(seed))  # noqa: S311 - no secret
    file.write_bytes(b"".join(struct.pack("=I", len(text)) + text for text in texts))
    done = subprocess.run([watched, file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    read, _, every = done.stdout.split()
    assert int(every) == SEARCHSETS
    assert SEARCHSETS / 5 < int(read) < SEARCHSETS
