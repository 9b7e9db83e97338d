"""Reads a bundle with onnxruntime and numpy alone: proves it, then prints what it gives for its golden rows.

python docs/examples/read_bundle.py [BUNDLE]     the released sepsis model where no bundle is named
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

RELEASED = Path(__file__).parents[2] / "models" / "sepsis" / "bundle"
FORMAT = 1
TOLERANCE = 1e-4  # of golden outputs and of additivity; docs/bundle.md says why
LARGEST = 3  # contributions that are printed


class Refused(Exception):  # noqa: N818 - a bundle is refused
    """The bundle is not what it says."""


def main(path: Path) -> Iterator[str]:
    """One line for each golden row of a bundle that was proved."""
    manifest = json.loads((path / "manifest.json").read_bytes())
    check_files(path, manifest)
    golden = json.loads((path / "golden.json").read_bytes())
    rows = np.array(golden["rows"], np.float32)  # null becomes NaN: a missing value
    found = run(path / "model.onnx", rows)
    check_golden(golden, found)
    check_additivity(found)
    for probability, contributions in zip(found["probability"], found["contributions"], strict=True):
        largest = np.argsort(-np.abs(contributions), kind="stable")[:LARGEST]
        reasons = (f"{manifest['features'][i]} {contributions[i]:+.3f}" for i in largest)
        yield f"probability {probability:.6f}: {', '.join(reasons)}"


def check_files(path: Path, manifest: dict[str, Any]) -> None:
    """Format and hashes."""
    if manifest["format"] != FORMAT:
        raise Refused(f"expected format {FORMAT}, got {manifest['format']}")
    for name, expected in manifest["files"].items():
        if hashlib.sha256((path / name).read_bytes()).hexdigest() != expected:
            raise Refused(f"{name} is not the file that the manifest lists")


def run(model: Path, rows: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """The graph's outputs by name, for rows without infinities."""
    if np.isinf(rows).any():
        raise Refused("expected finite values or NaN")
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"features": rows}), strict=True))


def check_golden(golden: dict[str, Any], found: dict[str, NDArray[np.float32]]) -> None:
    """The graph gives on this machine what it gave where it was made."""
    for name in ("logit", "probability", "contributions", "base_value"):
        expected = np.array(golden[name])
        agree = found[name].size == expected.size
        if not (agree and np.allclose(found[name], expected, rtol=TOLERANCE, atol=TOLERANCE)):
            raise Refused(f"{name} differs from the golden rows")


def check_additivity(found: dict[str, NDArray[np.float32]]) -> None:
    """base_value + Σ contributions = logit: what is explained is what was scored."""
    error = np.abs(found["base_value"] + found["contributions"].sum(axis=1, dtype=np.float64) - found["logit"])
    if not (error <= TOLERANCE * np.maximum(1, np.abs(found["logit"]))).all():
        raise Refused("the contributions do not add up to the logit")


if __name__ == "__main__":
    bundle = Path(sys.argv[1]) if len(sys.argv) > 1 else RELEASED
    try:
        sys.stdout.writelines(f"{line}\n" for line in main(bundle))
    except Refused as reason:
        sys.exit(f"{bundle.name}: {reason}")
