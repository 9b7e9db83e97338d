"""Blocks: shares that lie side by side give every line once, and lines are numbered when asked."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.files import blocks
from features.files.blocks import Block, Share, SourceError, first_line_of, read_blocks, shares

LINES = st.lists(st.binary(max_size=12).map(lambda line: b"{" + line.replace(b"\n", b"") + b"}"), max_size=12)


def write(folder: Path, lines: list[bytes], *, end: bytes = b"\n") -> Path:
    file = folder / "Patient.ndjson"
    file.write_bytes(b"\n".join(lines) + end)
    return file


def blocks_of(work: tuple[Share, ...], block_bytes: int) -> list[Block]:
    return [
        block
        for share in work
        for block in read_blocks(share.file, start=share.start, stop=share.stop, block_bytes=block_bytes)
    ]


@given(
    lines=LINES,
    range_bytes=st.integers(1, 40),
    block_bytes=st.integers(1, 40),
    end=st.sampled_from([b"", b"\n", b"\n\n"]),
)
def test_every_line_belongs_to_one_share(
    lines: list[bytes], range_bytes: int, block_bytes: int, end: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = write(tmp_path_factory.mktemp("shares"), lines, end=end)
    blocks = blocks_of(shares([file], range_bytes=range_bytes), block_bytes)
    whole = file.read_bytes()
    assert b"".join(block.data for block in blocks) == (whole if whole.endswith(b"\n") or not whole else whole + b"\n")
    for block in blocks:
        assert block.data == whole[block.offset :][: len(block.data)].removesuffix(b"\n") + b"\n"
        assert first_line_of(block) == whole[: block.offset].count(b"\n") + 1


@given(lines=LINES, range_bytes=st.integers(1, 40))
def test_progress_of_all_shares_adds_up_to_the_file(
    lines: list[bytes], range_bytes: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file, seen = write(tmp_path_factory.mktemp("shares"), lines), list[int]()
    for share in shares([file], range_bytes=range_bytes):
        list(read_blocks(share.file, start=share.start, stop=share.stop, on_bytes=seen.append))
    assert sum(seen) == file.stat().st_size


def test_the_place_of_a_block_of_a_range_is_counted_only_when_it_is_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path, [b"{}"] * 10)
    (block,) = read_blocks(file, start=4, stop=9)
    assert (block.first_line, block.offset, block.data) == (None, 6, b"{}\n")
    assert first_line_of(block) == 3


def test_only_long_plain_files_are_shared(tmp_path: Path) -> None:
    lines = [b'{"resourceType": "Patient"}'] * 40
    plain = write(tmp_path, lines)
    packed = tmp_path / "Patient.ndjson.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    bundle = tmp_path / "page.json"
    bundle.write_bytes(b'{\n"resourceType": "Bundle",\n"entry": []\n}' + b" " * 1_000)
    assert [(share.file, share.start, share.stop) for share in shares([plain, packed, bundle], range_bytes=500)] == [
        (plain, 0, 500),
        (plain, 500, 1_000),
        (plain, 1_000, 1_120),
        (packed, 0, None),
        (bundle, 0, None),
    ]
    assert shares([plain]) == (Share(file=plain),)


def test_a_range_of_a_compressed_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "Patient.ndjson.gz"
    file.write_bytes(gzip.compress(b"{}\n"))
    with pytest.raises(ValueError, match=r"Patient\.ndjson\.gz: only a plain NDJSON file can be read by ranges"):
        list(read_blocks(file, start=1))


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_blocks_are_about_as_long_as_asked_and_line_numbers_go_on(packed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    file = write(tmp_path, [b"{%d}" % number for number in range(200_000)])
    if packed:
        file = tmp_path / "Patient.ndjson.gz"
        file.write_bytes(gzip.compress((tmp_path / "Patient.ndjson").read_bytes()))
    blocks = list(read_blocks(file, block_bytes=2**18))
    assert len(blocks) > 4
    assert all(len(block.data) < 2**19 for block in blocks)
    for block in blocks:
        assert block.data.startswith(b"{%d}\n" % (first_line_of(block) - 1))


def test_a_file_that_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Patient\.ndjson: No such file"):
        shares([tmp_path / "Patient.ndjson"])


@pytest.mark.parametrize(("name", "head"), [("a.ndjson.gz", b""), ("a.json.gz", b'{"resourceType":"Bundle"')])
def test_a_small_file_that_decompresses_to_anything_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, head: bytes
) -> None:
    """A bomb: neither memory nor time is spent on all of it."""
    monkeypatch.setattr(blocks, "LONGEST_LINE", 2**20)
    file = tmp_path / name
    file.write_bytes(gzip.compress(head + b" " * 2**24))
    with pytest.raises(SourceError, match="at most 1,048,576 bytes"):
        list(read_blocks(file))
