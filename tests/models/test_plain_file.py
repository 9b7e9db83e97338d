"""Plain files: what takes a file's place after we looked is neither followed nor waited for."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from models.plain_file import PlainFileError, read_plain

pytestmark = pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(b"secret")
    path.symlink_to(path.parent / "elsewhere")


@pytest.mark.parametrize("put", [_link, os.mkfifo], ids=["a link", "a pipe"])
def test_what_takes_a_files_place_at_the_last_moment_is_refused(
    put: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, look = tmp_path / "golden.json", Path.lstat
    file.write_bytes(b"{}")

    def look_and_exchange(path: Path) -> os.stat_result:
        found = look(path)
        path.unlink()
        put(path)
        return found

    monkeypatch.setattr(Path, "lstat", look_and_exchange)
    with pytest.raises(PlainFileError):
        read_plain(file, 100)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "golden.json"
    file.write_bytes(b"12345")
    assert read_plain(file, 5) == b"12345"
    with pytest.raises(PlainFileError, match="at most 4 bytes"):
        read_plain(file, 4)
