"""The bundle: one trained model as a directory that proves what it is.

manifest.json      what it is and the SHA-256 of every other file
model.onnx         features -> logit, probability, contributions, base_value
golden.json        rows and their outputs, re-run by every server that loads the bundle
background.json    format 2 alone: the made rows against which a graph without contributions is explained
reference.json     how each feature was distributed in training
performance.json   how good it was, where and when
MODEL_CARD.md      the same for people
model.sig          a site's signature of all of them, where it has signed (models/signing.py)
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.plain_file import PlainFileError, read_plain
from models.spec import Indicator, ModelSpec
from models.whole_folder import write_whole

Content = TypeVar("Content")

FORMAT = 1
# Of a bundle whose graph gives no contributions: they are estimated by permutations against its background rows.
PERMUTATION_FORMAT = 2
MANIFEST = "manifest.json"
BACKGROUND = "background.json"
SIGNATURE = "model.sig"
FILES = frozenset({"model.onnx", "golden.json", "reference.json", "performance.json", "MODEL_CARD.md"})

_MEBIBYTE = 1 << 20
# Far above what training writes (the released graph has 1.5 MB), and below what would hurt the machine that reads it.
LIMITS_BYTES: Mapping[str, int] = {
    MANIFEST: 4 * _MEBIBYTE,
    "model.onnx": 512 * _MEBIBYTE,
    "golden.json": 64 * _MEBIBYTE,
    BACKGROUND: 64 * _MEBIBYTE,
    "reference.json": 64 * _MEBIBYTE,
    "performance.json": 64 * _MEBIBYTE,
    "MODEL_CARD.md": 4 * _MEBIBYTE,
    SIGNATURE: _MEBIBYTE,
}


# What decoding a hostile file can raise beside msgspec's own: text that is not UTF-8, and nesting beyond the stack.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class BundleError(Exception):
    """A directory is not a bundle that may be served; the message says what was expected and what came."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings shared by the parts of the manifest: unknown fields are errors, for the format is numbered."""


class Band(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A risk band with the probability at which it starts and why there."""

    id: str
    indicator: Indicator
    lower_probability: float
    reason: str


class Calibration(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How raw logits became calibrated: calibrated = slope × raw + intercept; folded into the graph."""

    method: str
    slope: float
    intercept: float


class SourceFile(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file that the model was trained or tested on."""

    name: str
    sha256: str
    bytes: int
    role: str


class FlowStep(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of the cohort's flow: how many were left after it."""

    step: str
    patients: int
    index_times: int


class Lineage(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the data came from and what became of them."""

    dataset: str
    licence: str
    attribution: str
    files: tuple[SourceFile, ...]
    flow: tuple[FlowStep, ...]
    events: int
    refusals: dict[str, int]
    positives: int


class Run(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The MLflow run that made it."""

    experiment: str
    run_id: str


class Explanation(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the contributions of a graph that gives none are estimated (models/permutation.py).

    Attributes:
        permutations: orders at most, an even number.
        budget_ms: the time that an explanation may take at a call; fewer orders then, and a larger standard error.
        seed: of the orders.
    """

    permutations: int
    budget_ms: float
    seed: int


class Manifest(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the bundle is."""

    format: int
    model_id: str
    version: str
    created: str
    licence: str
    spec_fingerprint: str
    features: tuple[str, ...]
    required_features: tuple[str, ...]
    bands: tuple[Band, ...]
    calibration: Calibration
    base_rate: float
    lineage: Lineage
    run: Run
    libraries: dict[str, str]
    parity: dict[str, Any]
    files: dict[str, str] = {}
    explanation: Explanation | msgspec.UnsetType = msgspec.UNSET

    @property
    def file_names(self) -> frozenset[str]:
        """The files that such a bundle has, beside the manifest."""
        return FILES if self.explanation is msgspec.UNSET else FILES | {BACKGROUND}


class BandPerformance(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How good an alarm at a band's lower probability was; None where the data could not tell."""

    sensitivity: float | None
    ppv: float | None
    alert_rate: float | None
    number_needed_to_evaluate: float | None


class Performance(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How good the model was.

    Attributes:
        validation: on what, in a few words a card can show.
        validated: the day, ISO 8601.
        bands: by band id, for all but the first.
        details: everything measured, by data set; what the facts page shows.
    """

    validation: str
    validated: str
    bands: dict[str, BandPerformance]
    details: dict[str, Any]


class Background(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Made rows: every value stems from another patient, so that a row belongs to nobody; None where one is missing."""

    rows: tuple[tuple[float | None, ...], ...]

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The rows as float32[B, F], NaN where missing."""
        return _matrix(self.rows)


class Golden(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows and what the graph gave for them; None where a feature is missing.

    Where the graph gives no contributions, these are estimates of a few orders (models/permutation.py).
    """

    rows: tuple[tuple[float | None, ...], ...]
    logit: tuple[float, ...]
    probability: tuple[float, ...]
    contributions: tuple[tuple[float, ...], ...]
    base_value: float

    @classmethod
    def of(
        cls,
        *,
        rows: NDArray[np.float32],
        logit: NDArray[np.float32],
        probability: NDArray[np.float32],
        contributions: NDArray[np.float32],
        base_value: float,
    ) -> Self:
        """Build from arrays [N, F] and [N]; float32 survives JSON unchanged."""
        return cls(
            rows=plain_rows(rows),
            logit=tuple(logit.tolist()),
            probability=tuple(probability.tolist()),
            contributions=tuple(tuple(row) for row in contributions.tolist()),
            base_value=base_value,
        )

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The rows as float32[N, F], NaN where missing."""
        return _matrix(self.rows)


def _matrix(rows: tuple[tuple[float | None, ...], ...]) -> NDArray[np.float32]:
    return np.array([[np.nan if x is None else x for x in row] for row in rows], np.float32)


def plain_rows(rows: NDArray[np.float32]) -> tuple[tuple[float | None, ...], ...]:
    """Rows float32[N, F] as JSON holds them, unchanged; None where one is NaN."""
    return tuple(tuple(None if math.isnan(x) else x for x in row) for row in rows.tolist())


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A bundle on disk whose manifest, hashes and specification were found to agree.

    `fingerprint` is the SHA-256 of the manifest, and so of everything in the bundle.
    """

    path: Path
    manifest: Manifest
    fingerprint: str
    golden: Golden
    performance: Performance
    background: Background | None = None

    @property
    def model(self) -> bytes:
        """The ONNX graph; a BundleError if it is no longer the one that was loaded."""
        return _content(self.path, "model.onnx", self.manifest)

    @property
    def model_card(self) -> str:
        """The model card, Markdown; a BundleError as above."""
        try:
            return _content(self.path, "MODEL_CARD.md", self.manifest).decode()
        except UnicodeDecodeError as error:
            raise BundleError(f"{self.path.name}/MODEL_CARD.md: expected UTF-8: {error}.") from error

    def band_of(self, probability: float) -> Band:
        """The band that a probability falls into."""
        return next(band for band in reversed(self.manifest.bands) if probability >= band.lower_probability)


class _Head(msgspec.Struct, frozen=True):
    model_id: str


def model_id_of(path: Path) -> str:
    """The model that a bundle says it is of; nothing else is looked at. Raises BundleError where there is no bundle."""
    try:
        return msgspec.json.decode(read_plain(path / MANIFEST, LIMITS_BYTES[MANIFEST]), type=_Head).model_id
    except (PlainFileError, *UNREADABLE) as error:
        raise BundleError(f"{path}: expected a bundle directory with {MANIFEST}: {error}") from error


def load(path: Path, spec: ModelSpec) -> Bundle:
    """Load a bundle and hold it against the specification it says it was trained for.

    Raises:
        BundleError: not a bundle, another format, a file missing, changed or unknown, or another specification.
    """
    manifest_bytes, manifest = _read_manifest(path)
    _check_files(path, manifest)
    if (manifest.model_id, manifest.spec_fingerprint) != (spec.id, spec.fingerprint):
        raise BundleError(
            f"{path.name}: expected a bundle of {spec.id} {spec.version} ({spec.fingerprint[:12]}…), got "
            f"{manifest.model_id} ({manifest.spec_fingerprint[:12]}…). Train it again for this specification."
        )
    bundle = Bundle(
        path=path,
        manifest=manifest,
        fingerprint=hashlib.sha256(manifest_bytes).hexdigest(),
        golden=_decode(path, "golden.json", manifest, Golden),
        performance=_decode(path, "performance.json", manifest, Performance),
        background=_decode(path, BACKGROUND, manifest, Background) if BACKGROUND in manifest.file_names else None,
    )
    for fault in _faults(bundle, spec):
        raise BundleError(f"{path.name}: {fault} Train it again for this specification.")
    return bundle


def write(path: Path, manifest: Manifest, files: Mapping[str, bytes]) -> None:
    """Write a bundle aside, then put it in its place whole; one that stood there before is replaced.

    Args:
        path: the directory to become the bundle.
        manifest: its `files` are filled in here.
        files: contents by name, all of the manifest's `file_names`.
    """
    if set(files) != manifest.file_names:
        raise BundleError(f"Such a bundle needs the files {sorted(manifest.file_names)}, got {sorted(files)}.")
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    manifest = msgspec.structs.replace(manifest, files=hashes)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    write_whole(path, {**files, MANIFEST: text + b"\n"})


def _read_manifest(path: Path) -> tuple[bytes, Manifest]:
    try:
        content = read_plain(path / MANIFEST, LIMITS_BYTES[MANIFEST])
    except PlainFileError as error:
        raise BundleError(f"{path.name}: expected a bundle directory with {MANIFEST}: {error}") from error
    try:
        found = msgspec.json.decode(content, type=dict[str, Any]).get("format")
        if found not in {FORMAT, PERMUTATION_FORMAT}:
            raise BundleError(f"{path.name}: expected bundle format {FORMAT} or {PERMUTATION_FORMAT}, got {found!r}.")
        manifest = msgspec.json.decode(content, type=Manifest)
    except UNREADABLE as error:
        raise BundleError(f"{path.name}/{MANIFEST}: {error}.") from error
    if (manifest.format == PERMUTATION_FORMAT) == (manifest.explanation is msgspec.UNSET):
        raise BundleError(f"{path.name}: expected `explanation` in the manifest of format {PERMUTATION_FORMAT} alone.")
    return content, manifest


def _check_files(path: Path, manifest: Manifest) -> None:
    if set(manifest.files) != manifest.file_names:
        raise BundleError(
            f"{path.name}: expected the files {sorted(manifest.file_names)}, the manifest lists "
            f"{sorted(manifest.files)}."
        )
    strangers = {entry.name for entry in path.iterdir()} - manifest.file_names - {MANIFEST, SIGNATURE}
    if strangers:
        raise BundleError(f"{path.name}: files that the manifest does not list: {sorted(strangers)}.")
    for name in manifest.files:
        _content(path, name, manifest)


def _content(path: Path, name: str, manifest: Manifest) -> bytes:
    """Every reading is held against the manifest: what is used is what was checked, though a file changed meanwhile."""
    try:
        content = read_plain(path / name, LIMITS_BYTES[name])
    except PlainFileError as error:
        raise BundleError(f"{path.name}/{name}: {error}") from error
    found, expected = hashlib.sha256(content).hexdigest(), manifest.files[name]
    if found != expected:
        raise BundleError(f"{path.name}/{name}: its SHA-256 is {found[:12]}…, the manifest says {expected[:12]}….")
    return content


def _faults(bundle: Bundle, spec: ModelSpec) -> Iterator[str]:
    """Where the contents contradict the specification or each other, in words."""
    manifest, golden, width = bundle.manifest, bundle.golden, len(spec.features)
    if manifest.features != spec.features.ids:
        yield "the manifest's features are not those of the specification, in its order."
    unknown = sorted(set(manifest.required_features) - set(manifest.features))
    if unknown:
        yield f"required features that the model does not read: {unknown}."
    if [(band.id, band.indicator) for band in manifest.bands] != [(band.id, band.indicator) for band in spec.bands]:
        yield "the manifest's bands are not those of the specification, in its order."
    starts = [band.lower_probability for band in manifest.bands]
    if starts[:1] != [0.0] or sorted(starts) != starts:
        yield f"expected bands that start at 0 and ascend, they start at {starts}."
    if set(bundle.performance.bands) != {band.id for band in manifest.bands[1:]}:
        yield "expected the performance of each band but the first."
    if not 0.0 < manifest.base_rate < 1.0:
        yield f"expected a base rate between 0 and 1, got {manifest.base_rate}."
    rows = len(golden.rows)
    if rows == 0 or {len(golden.logit), len(golden.probability), len(golden.contributions)} != {rows}:
        yield "expected one or more golden rows, and as many of each output."
    if {len(row) for row in (*golden.rows, *golden.contributions)} - {width}:
        yield f"expected golden rows and contributions of {width} features."
    if bundle.background is not None and {len(row) for row in bundle.background.rows} != {width}:
        yield f"expected background rows of {width} features."


def _decode(path: Path, name: str, manifest: Manifest, kind: type[Content]) -> Content:
    try:
        return msgspec.json.decode(_content(path, name, manifest), type=kind)
    except UNREADABLE as error:
        raise BundleError(f"{path.name}/{name}: {error}.") from error
