"""The bundle is open: docs/bundle.md describes it as it is, and its examples read it with ONNX Runtime alone."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest

from models.bundle import BACKGROUND, FILES, MANIFEST, SIGNATURE, Background, Golden, Manifest, load
from models.sepsis.spec import SPEC
from tests.bundles import linear_graph, linear_rows, tiny_spec, write_bundle

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "models" / "sepsis" / "bundle"
EXAMPLES = ROOT / "docs" / "examples"
PAGE = (ROOT / "docs" / "bundle.md").read_text(encoding="utf-8")
# An installation takes seconds; a registry that doesn't answer is to fail, not to hang.
LIMIT_SECONDS = 300
NUMBERS = re.compile(r"probability (?P<probability>[0-9.]+): (?P<reasons>.+)")

Ran: TypeAlias = "subprocess.CompletedProcess[str]"
Program: TypeAlias = Callable[..., Ran]
Damage: TypeAlias = Callable[[Path], object]


def run(*command: str | Path, cwd: Path = ROOT) -> Ran:
    return subprocess.run(command, cwd=cwd, check=False, capture_output=True, text=True, timeout=LIMIT_SECONDS)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The examples with their JavaScript packages installed as the lock says."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("needs Node.js and npm")
    folder = tmp_path_factory.mktemp("javascript") / "examples"
    shutil.copytree(EXAMPLES, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = run("npm", "ci", "--no-audit", "--no-fund", cwd=folder)
    assert installed.returncode == 0, installed.stderr
    yield folder
    shutil.rmtree(folder)  # 290 MB that pytest would keep for three runs


@pytest.fixture(params=["python", "javascript"])
def read_bundle(request: pytest.FixtureRequest) -> Program:
    """The example in one language, to be called with a bundle."""
    if request.param == "python":
        return lambda bundle: run(sys.executable, EXAMPLES / "read_bundle.py", bundle)
    folder: Path = request.getfixturevalue("node_folder")
    return lambda bundle: run("node", folder / "read_bundle.mjs", bundle)


def golden() -> Golden:
    return msgspec.json.decode((RELEASED / "golden.json").read_bytes(), type=Golden)


def test_an_example_prints_the_golden_probabilities_and_the_largest_contributions(read_bundle: Program) -> None:
    ran = read_bundle(RELEASED)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = [NUMBERS.fullmatch(line) for line in ran.stdout.splitlines()]
    expected = golden()
    assert len(lines) == len(expected.rows)
    for line, probability, contributions in zip(lines, expected.probability, expected.contributions, strict=True):
        assert line is not None
        assert float(line["probability"]) == pytest.approx(probability, abs=2e-6)
        told = dict(reason.split(" ") for reason in line["reasons"].split(", "))
        by_size = np.sort(np.abs(contributions))[::-1]
        for (name, value), size in zip(told.items(), by_size, strict=False):
            assert float(value) == pytest.approx(contributions[SPEC.features.ids.index(name)], abs=6e-4)
            assert abs(float(value)) == pytest.approx(size, abs=6e-4)
        assert len(told) == 3


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    """Change one of the JSON files and the manifest with it, so that the hashes are right."""

    def damage(bundle: Path) -> None:
        document = json.loads((bundle / name).read_bytes())
        change(document)
        content = json.dumps(document).encode()
        (bundle / name).write_bytes(content)
        if name != MANIFEST:
            manifest = json.loads((bundle / MANIFEST).read_bytes())
            manifest["files"][name] = hashlib.sha256(content).hexdigest()
            (bundle / MANIFEST).write_text(json.dumps(manifest))

    return damage


def tell_another(output: str) -> Callable[[dict[str, Any]], object]:
    def change(document: dict[str, Any]) -> None:
        document[output][-1] = np.add(document[output][-1], 0.01).tolist()

    return change


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(
            lambda bundle: (bundle / "MODEL_CARD.md").write_text("Better."),
            "MODEL_CARD.md is not the file that the manifest lists",
            id="a file changed",
        ),
        pytest.param(
            edit(MANIFEST, lambda manifest: manifest.update(format=2)), "expected format 1, got 2", id="next format"
        ),
        *(
            pytest.param(
                edit("golden.json", tell_another(output)),
                f"{output} differs from the golden rows",
                id=f"golden {output}",
            )
            for output in ("logit", "probability", "contributions")
        ),
        pytest.param(
            edit("golden.json", lambda document: document.update(base_value=-4.0)),
            "base_value differs from the golden rows",
            id="golden base value",
        ),
        pytest.param(
            edit("golden.json", lambda document: document["logit"].pop()),
            "logit differs from the golden rows",
            id="a golden row without its logit",
        ),
        pytest.param(
            edit("golden.json", lambda document: document["rows"][0].__setitem__(0, 1e39)),
            "expected finite values or NaN",
            id="beyond float32",
        ),
    ],
)
def test_an_example_refuses_a_bundle_that_is_not_what_it_says(
    damage: Damage, message: str, read_bundle: Program, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(RELEASED, tmp_path / "damaged"))
    damage(bundle)
    ran = read_bundle(bundle)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-1] == f"damaged: {message}"


def test_an_example_refuses_an_explanation_of_another_score(read_bundle: Program, tmp_path: Path) -> None:
    """The graph gives its golden rows, but its contributions miss a tenth of the logit."""
    write_bundle(tmp_path / "leaky", tiny_spec(), linear_graph(leak=0.1), linear_rows())
    ran = read_bundle(tmp_path / "leaky")
    assert (ran.returncode, ran.stderr) == (1, "leaky: the contributions do not add up to the logit\n")


def snippet(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 5
    return str(code)


def test_five_lines_of_python_give_the_golden_probabilities(tmp_path: Path) -> None:
    (tmp_path / "five.py").write_text(snippet("python"), encoding="utf-8")
    ran = run(sys.executable, tmp_path / "five.py")
    np.testing.assert_allclose(json.loads(ran.stdout), golden().probability, atol=1e-6)


def test_five_lines_of_javascript_give_the_golden_probabilities(node_folder: Path) -> None:
    (node_folder / "five.mjs").write_text(snippet("js"), encoding="utf-8")
    ran = run("node", node_folder / "five.mjs")
    np.testing.assert_allclose([float(x) for x in re.findall(r"0\.\d+", ran.stdout)], golden().probability, atol=1e-6)


def test_the_lock_names_versions_and_hashes_and_no_registry() -> None:
    lock = json.loads((EXAMPLES / "package-lock.json").read_bytes())
    packages = {name: package for name, package in lock["packages"].items() if name}
    wanted = json.loads((EXAMPLES / "package.json").read_bytes())["dependencies"]
    assert all("resolved" not in package and package["integrity"] for package in packages.values())
    assert packages["node_modules/onnxruntime-node"]["version"] == wanted["onnxruntime-node"]


def section(title: str) -> str:
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def first_cells(title: str) -> list[str]:
    """What stands in backquotes in the first column of a section's table."""
    rows = [line.strip("| ").split(" | ") for line in section(title).splitlines() if line.startswith("| ")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row[0])]


def fields_of(kind: msgspec.inspect.StructType, prefix: str = "") -> Iterator[str]:
    """The fields of a message with those of its parts, as the page names them."""
    for field in kind.fields:
        match field.type:
            case msgspec.inspect.StructType() as part:
                yield from fields_of(part, f"{prefix}{field.encode_name}.")
            case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.StructType() as part):
                yield from fields_of(part, f"{prefix}{field.encode_name}[].")
            case _:
                yield f"{prefix}{field.encode_name}"


@pytest.mark.parametrize(
    ("title", "kind"), [("manifest.json", Manifest), ("golden.json", Golden), ("background.json", Background)]
)
def test_the_page_lists_every_field_and_no_other(title: str, kind: type) -> None:
    described = msgspec.inspect.type_info(kind)
    assert isinstance(described, msgspec.inspect.StructType)
    assert first_cells(title) == list(fields_of(described))


def test_the_page_lists_every_file() -> None:
    assert sorted(first_cells("Files")) == sorted({MANIFEST, BACKGROUND, SIGNATURE, *FILES})


def test_the_page_tells_the_graphs_names_types_and_shapes() -> None:
    session = onnxruntime.InferenceSession(RELEASED / "model.onnx", providers=["CPUExecutionProvider"])
    width = len(SPEC.features)
    found = [
        f"| {role} | `{node.name}` | {node.type.replace('tensor(float)', 'float32')} | "
        f"[{', '.join('F' if axis == width else str(axis) for axis in node.shape)}] |"
        for role, nodes in (("input", session.get_inputs()), ("output", session.get_outputs()))
        for node in nodes
    ]
    told = [re.sub(r"[^|]+\|$", "", line) for line in section("In any language").splitlines() if "float32" in line]
    assert sorted(line.strip() for line in told) == sorted(found)


def test_the_page_tells_the_graphs_versions_and_metadata() -> None:
    model = onnx.load(RELEASED / "model.onnx")
    opsets = {opset.domain or "ai.onnx": opset.version for opset in model.opset_import}
    told = " ".join(section("In any language").split())
    assert f"ai.onnx opset {opsets['ai.onnx']}, ai.onnx.ml opset {opsets['ai.onnx.ml']}" in told
    assert f"IR version {model.ir_version};" in told
    assert opsets.keys() == {"ai.onnx", "ai.onnx.ml"}
    assert all(not tensor.external_data for tensor in model.graph.initializer)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert all(f"`{key}`" in told for key in metadata)
    assert metadata["feature_names"].split("\n") == list(SPEC.features.ids)


def test_a_graph_cut_as_the_page_says_gives_the_same_score(tmp_path: Path) -> None:
    (call,) = re.findall(r"`onnx\.utils\.extract_model\((.+?)\)`", section("In any language"))
    _, _, inputs, outputs = json.loads(f"[{call}]")
    cut = tmp_path / "score.onnx"
    onnx.utils.extract_model(str(RELEASED / "model.onnx"), str(cut), inputs, outputs)
    session = onnxruntime.InferenceSession(cut, providers=["CPUExecutionProvider"])
    logit, _ = session.run(outputs, {"features": golden().matrix})
    np.testing.assert_allclose(logit, golden().logit, atol=1e-6)


def test_the_fingerprint_is_the_hash_of_the_manifest() -> None:
    assert load(RELEASED, SPEC).fingerprint == hashlib.sha256((RELEASED / MANIFEST).read_bytes()).hexdigest()
