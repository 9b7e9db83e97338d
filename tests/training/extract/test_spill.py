"""Spill files give back what was put in, and their names stand in the order of reading."""

from pathlib import Path

import pytest

from training.extract.spill import partition_of, read_blob, read_index, segment_name, write_blobs, write_index


@pytest.mark.parametrize("blobs", [[b""], [b"a"], [b"", b"first", b"", b"second" * 1000, b""]], ids=len)
def test_blobs_come_back_by_number(blobs: list[bytes], tmp_path: Path) -> None:
    size = write_blobs(tmp_path / "file", blobs)
    assert [read_blob(tmp_path / "file", number) for number in range(len(blobs))] == blobs
    assert (tmp_path / "file").stat().st_size == size
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_file_that_was_cut_short_is_an_error(tmp_path: Path) -> None:
    write_blobs(tmp_path / "file", [b"abc"])
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:-1])
    with pytest.raises(OSError, match="shorter than its offsets say"):
        read_blob(tmp_path / "file", 0)


def test_segments_keep_their_order(tmp_path: Path) -> None:
    names = [segment_name(share, segment) for share in (0, 9, 10, 11_000) for segment in (0, 1, 12)]
    assert names == sorted(names)
    write_index(tmp_path, names)
    assert [path.name for path in read_index(tmp_path)] == names
    write_index(tmp_path, [])
    assert list(read_index(tmp_path)) == []


def test_an_id_belongs_to_one_partition_forever() -> None:
    """Another machine, another run, another Python: the numbers are those of CRC-32."""
    assert [partition_of(name, 1000) for name in ("p1", "ä", "")] == [67, 35, 0]
    sizes = [sum(partition_of(f"patient-{i}", 8) == p for i in range(8_000)) for p in range(8)]
    assert min(sizes) > 800
