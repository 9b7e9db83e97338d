"""The bundle: what is written is what is loaded, and a damaged or foreign directory is refused by name."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from models.bundle import (
    FILES,
    FORMAT,
    LIMITS_BYTES,
    MANIFEST,
    PERMUTATION_FORMAT,
    Band,
    BundleError,
    Golden,
    Manifest,
    load,
    model_id_of,
    write,
)
from models.catalog import CatalogEntry
from models.plain_file import PlainFileError, read_plain
from models.spec import ModelSpec
from models.whole_folder import put_in_place
from tests.bundles import files_of, linear_graph, linear_rows, manifest_of, tiny_spec, write_bundle

Json = dict[str, Any]
Damage = Callable[[Path], object]


def edit_manifest(change: Callable[[Json], object]) -> Damage:
    """Change the manifest's JSON."""

    def damage(path: Path) -> None:
        document = json.loads((path / MANIFEST).read_bytes())
        change(document)
        (path / MANIFEST).write_text(json.dumps(document))

    return damage


def flip_a_bit(name: str) -> Damage:
    def damage(path: Path) -> None:
        content = bytearray((path / name).read_bytes())
        content[len(content) // 2] ^= 1
        (path / name).write_bytes(content)

    return damage


def enlarge(name: str) -> Damage:
    """A hole behind its end, one byte above its limit: it takes no place on the disk."""
    return lambda path: os.truncate(path / name, LIMITS_BYTES[name] + 1)


def link_out(path: Path) -> None:
    (path / "golden.json").replace(path.parent / "golden.json")
    (path / "golden.json").symlink_to(path.parent / "golden.json")


def pipe(path: Path) -> None:
    (path / "golden.json").unlink()
    os.mkfifo(path / "golden.json")


DAMAGES = [
    *(
        pytest.param(flip_a_bit(name), rf"{name}: its SHA-256 is [0-9a-f]{{12}}…, the manifest says", id=f"{name} bit")
        for name in sorted(FILES)
    ),
    *(
        pytest.param(
            lambda path, name=name: (path / name).unlink(),
            rf"{name}: cannot be read: No such file or directory",
            id=f"{name} gone",
        )
        for name in sorted(FILES)
    ),
    pytest.param(
        lambda path: (path / MANIFEST).unlink(), "expected a bundle directory with manifest", id="no manifest"
    ),
    pytest.param(shutil.rmtree, "expected a bundle directory with manifest", id="no directory"),
    pytest.param(lambda path: (path / MANIFEST).write_bytes(b"{"), "manifest.json: Input data was trunc", id="half"),
    pytest.param(lambda path: (path / MANIFEST).write_bytes(b"[]"), "manifest.json: Expected `object`", id="a list"),
    pytest.param(
        lambda path: (path / MANIFEST).write_bytes(b'{"format":1,"parity":' + b"[" * 100_000),
        "manifest.json: maximum recursion depth",
        id="nested beyond all measure",
    ),
    pytest.param(
        lambda path: (path / MANIFEST).write_bytes(b'{"format":1,"version":"\xff"}'),
        "manifest.json: 'utf-8' codec can't decode",
        id="no UTF-8",
    ),
    pytest.param(
        lambda path: (path / "model.pkl").touch(),
        r"files that the manifest does not list: \['model.pkl'\]",
        id="a stranger",
    ),
    *(
        pytest.param(enlarge(name), rf"{name}: expected at most [\d,]+ bytes, it has", id=f"{name} huge")
        for name in sorted({*FILES, MANIFEST})
    ),
    pytest.param(link_out, "golden.json: expected a plain file, got a link", id="a link"),
    pytest.param(pipe, "golden.json: expected a plain file", id="a pipe, which would never end"),
    pytest.param(
        edit_manifest(lambda manifest: manifest.update(format=3)),
        "expected bundle format 1 or 2, got 3",
        id="next format",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest.update(format=2)),
        "expected `explanation` in the manifest of format 2 alone",
        id="permutations without their settings",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest.pop("format")),
        "expected bundle format 1 or 2, got None",
        id="no format",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest.update(colour="red")), "unknown field `colour`", id="unknown field"
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest["bands"][0].update(colour="red")),
        r"unknown field `colour` - at `\$.bands\[0\]`",
        id="unknown field of a band",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest.pop("base_rate")), "missing required field `base_rate`", id="no rate"
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest["files"].pop("model.onnx")),
        "expected the files .* the manifest lists",
        id="a file not listed",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest["files"].update({"../model.onnx": "0"})),
        "expected the files .* the manifest lists",
        id="a file outside",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest.update(spec_fingerprint="0" * 64)),
        r"expected a bundle of tiny 0.1 \([0-9a-f]{12}…\), got tiny \(000000000000…\)\. Train it again",
        id="another specification",
    ),
    pytest.param(edit_manifest(lambda manifest: manifest.update(model_id="other")), "got other", id="another model"),
    pytest.param(
        edit_manifest(lambda manifest: manifest["features"].reverse()),
        "the manifest's features are not those of the specification, in its order",
        id="features in another order",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest.update(required_features=["urine_last_24h"])),
        "required features that the model does not read",
        id="requires what it does not read",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest["bands"].pop()), "bands are not those of the spec", id="a band less"
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest["bands"][1].update(indicator="critical")),
        "bands are not those of the spec",
        id="another indicator",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest["bands"][0].update(lower_probability=0.01)),
        "bands that start at 0 and ascend",
        id="a risk below all bands",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest["bands"][2].update(lower_probability=0.001)),
        "bands that start at 0 and ascend",
        id="bands crossed",
    ),
    pytest.param(
        edit_manifest(lambda manifest: manifest.update(base_rate=0)), "base rate between 0 and 1", id="rate 0"
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_a_damaged_bundle_is_refused_by_name(
    damage: Damage, message: str, bundle_copy: Path, tiny: CatalogEntry
) -> None:
    damage(bundle_copy)
    with pytest.raises(BundleError, match=message) as caught:
        load(bundle_copy, tiny.spec)
    assert str(caught.value).startswith("bundle")


@pytest.mark.parametrize("name", ["model.onnx", "MODEL_CARD.md"])
def test_what_is_read_later_is_what_was_checked_at_first(name: str, bundle_copy: Path, tiny: CatalogEntry) -> None:
    bundle = load(bundle_copy, tiny.spec)
    flip_a_bit(name)(bundle_copy)
    with pytest.raises(BundleError, match=rf"{name}: its SHA-256 is"):
        assert len(bundle.model) + len(bundle.model_card) > 0


def test_a_bundle_says_which_model_it_is_of(bundle_copy: Path, tmp_path: Path) -> None:
    assert model_id_of(bundle_copy) == "tiny"
    with pytest.raises(BundleError, match="expected a bundle directory"):
        model_id_of(tmp_path / "nothing")


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "growing").write_bytes(b"12345")
    small = (tmp_path / "growing").lstat()
    (tmp_path / "growing").write_bytes(b"123456")
    monkeypatch.setattr(Path, "lstat", lambda _: small)
    with pytest.raises(PlainFileError, match="expected at most 5 bytes, it has more"):
        read_plain(tmp_path / "growing", 5)


def spoil(name: str, **fields: object) -> dict[str, bytes]:
    """A bundle's files, one of them with other contents but with the right hash."""
    spec = tiny_spec()
    files = files_of(spec, linear_graph(), linear_rows())
    return files | {name: json.dumps(json.loads(files[name]) | fields).encode()}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(spoil("golden.json", rows=[]), "expected one or more golden rows", id="no golden rows"),
        pytest.param(spoil("golden.json", logit=[0.1]), "as many of each output", id="golden outputs missing"),
        pytest.param(
            spoil("golden.json", rows=[[1.0, None]] * 8), "golden rows and contributions of 10 features", id="narrow"
        ),
        pytest.param(spoil("golden.json", rows=[["x"]]), "golden.json: Expected `float", id="golden text"),
        pytest.param(spoil("performance.json", bands={}), "performance of each band but the first", id="no bands"),
        pytest.param(spoil("performance.json", validation=3), "performance.json: Expected `str`", id="a wrong type"),
    ],
)
def test_contents_that_contradict_the_specification_are_refused(
    files: dict[str, bytes], message: str, tmp_path: Path
) -> None:
    spec = tiny_spec()
    write(tmp_path / "bundle", manifest_of(spec), files)
    with pytest.raises(BundleError, match=message):
        load(tmp_path / "bundle", spec)


def test_what_is_written_is_what_is_loaded(tmp_path: Path) -> None:
    spec = tiny_spec()
    manifest, files = manifest_of(spec), files_of(spec, linear_graph(), linear_rows())
    write(tmp_path / "bundle", manifest, files)
    bundle = load(tmp_path / "bundle", spec)
    assert msgspec.structs.replace(bundle.manifest, files={}) == manifest
    assert set(bundle.manifest.files) == FILES
    assert bundle.model == files["model.onnx"]
    assert bundle.model_card == "# A model for tests\n"
    np.testing.assert_array_equal(bundle.golden.matrix, linear_rows()[:8])
    assert bundle.performance.bands["high"].ppv == 0.09


def test_the_fingerprint_covers_every_file(tmp_path: Path) -> None:
    spec = tiny_spec()
    first = write_bundle(tmp_path / "a", spec, linear_graph(), linear_rows())
    same = write_bundle(tmp_path / "b", spec, linear_graph(), linear_rows())
    other = write_bundle(tmp_path / "c", spec, linear_graph(), linear_rows()[::-1])
    assert first.fingerprint == same.fingerprint
    assert first.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("probability", "band"),
    [(0.0, "low"), (0.0399, "low"), (0.04, "raised"), (0.1999, "raised"), (0.2, "high"), (1.0, "high")],
)
def test_a_band_begins_at_its_lower_probability(probability: float, band: str, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", tiny_spec(), linear_graph(), linear_rows())
    assert bundle.band_of(probability).id == band


def test_golden_rows_keep_every_float32_and_every_gap() -> None:
    rows = np.array([[np.nan, 0.1, 1e-38], [3.4e38, -0.0, np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    zeros = np.zeros(2, np.float32)
    golden = Golden.of(rows=rows, logit=zeros, probability=zeros, contributions=np.zeros_like(rows), base_value=0.0)
    back = msgspec.json.decode(msgspec.json.encode(golden), type=Golden)
    assert back.matrix.tobytes() == rows.tobytes()


def test_a_bundle_replaces_the_one_that_stood_there(tmp_path: Path) -> None:
    spec = tiny_spec()
    write_bundle(tmp_path / "bundle", spec, linear_graph(), linear_rows(), version="1")
    assert write_bundle(tmp_path / "bundle", spec, linear_graph(), linear_rows(), version="2").manifest.version == "2"
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_a_write_that_fails_leaves_the_old_bundle_whole_and_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = tiny_spec()
    old = write_bundle(tmp_path / "bundle", spec, linear_graph(), linear_rows())
    write_bytes = Path.write_bytes

    def full_disk(path: Path, content: bytes) -> int:
        if path.name == MANIFEST:
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "bundle", manifest_of(spec, version="2"), files_of(spec, linear_graph(), linear_rows()))
    assert load(tmp_path / "bundle", spec).fingerprint == old.fingerprint
    assert [entry.name for entry in tmp_path.iterdir()] == ["bundle"]


def test_a_rename_that_fails_puts_the_old_bundle_back(tmp_path: Path) -> None:
    old = tmp_path / "bundle"
    old.mkdir()
    (old / MANIFEST).write_text("old")
    with pytest.raises(FileNotFoundError):
        put_in_place(tmp_path / ".aside-that-is-not-there", old)
    assert (old / MANIFEST).read_text() == "old"


@pytest.mark.parametrize("changed", [{"notes.txt": b""}, {"model.onnx": None}], ids=["one more", "one less"])
def test_a_bundle_has_its_files_and_no_others(changed: dict[str, bytes | None], tmp_path: Path) -> None:
    spec = tiny_spec()
    files = files_of(spec, linear_graph(), linear_rows()) | changed
    with pytest.raises(BundleError, match="Such a bundle needs the files"):
        write(
            tmp_path / "bundle",
            manifest_of(spec),
            {name: content for name, content in files.items() if content is not None},
        )
    assert list(tmp_path.iterdir()) == []


def test_the_format_has_a_number_that_changes_with_the_manifest() -> None:
    """Who changes these fields raises FORMAT, so that an old server says so instead of failing somewhere."""
    assert (FORMAT, PERMUTATION_FORMAT) == (1, 2)
    assert Manifest.__struct_fields__ == (
        "format",
        "model_id",
        "version",
        "created",
        "licence",
        "spec_fingerprint",
        "features",
        "required_features",
        "bands",
        "calibration",
        "base_rate",
        "lineage",
        "run",
        "libraries",
        "parity",
        "files",
        "explanation",
    )
    assert Band.__struct_fields__ == ("id", "indicator", "lower_probability", "reason")


def test_a_bundle_for_a_changed_specification_is_refused(bundle_copy: Path) -> None:
    changed: ModelSpec = tiny_spec(version="0.2")
    with pytest.raises(BundleError, match=r"expected a bundle of tiny 0\.2"):
        load(bundle_copy, changed)
