"""`bedside bundle`: make a key, sign what a server would serve, verify it, and say what is wrong."""

import hashlib
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bedside.cli import app
from models.bundle import MANIFEST, SIGNATURE

run = CliRunner().invoke
RELEASED = Path(__file__).parents[2] / "models" / "sepsis" / "bundle"
FINGERPRINT = hashlib.sha256((RELEASED / MANIFEST).read_bytes()).hexdigest()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of the released bundle, as a site would take it to look at it."""
    return shutil.copytree(RELEASED, tmp_path / "sepsis", ignore=shutil.ignore_patterns(SIGNATURE))


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A private key, its public key beside it."""
    result = run(app, ["bundle", "key", str(tmp_path / "site.key")])
    assert result.exit_code == 0, result.output
    return tmp_path / "site.key"


def verified(bundle: Path, public: Path) -> tuple[int, str]:
    result = run(app, ["bundle", "verify", str(bundle), "--key", str(public)])
    assert "Traceback" not in result.output
    return result.exit_code, " ".join(result.output.split())


def test_what_one_person_signed_another_verifies(bundle: Path, key: Path) -> None:
    assert verified(bundle, key.with_name("site.key.pub"))[0] == 1
    result = run(app, ["bundle", "sign", str(bundle), "--key", str(key)])
    assert result.exit_code == 0, result.output
    assert f"Signed: sepsis 1.0.0, fingerprint {FINGERPRINT}" in result.output
    assert verified(bundle, key.with_name("site.key.pub")) == (0, f"Verified: sepsis 1.0.0, fingerprint {FINGERPRINT}")


def test_an_encrypted_key_asks_for_its_password(bundle: Path, tmp_path: Path) -> None:
    made = run(app, ["bundle", "key", str(tmp_path / "a.key"), "--encrypt"], input="horse\nhorse\n")
    assert made.exit_code == 0, made.output
    wrong = run(app, ["bundle", "sign", str(bundle), "--key", str(tmp_path / "a.key")], input="donkey\n")
    assert (wrong.exit_code, (bundle / SIGNATURE).exists()) == (1, False)
    right = run(app, ["bundle", "sign", str(bundle), "--key", str(tmp_path / "a.key")], input="horse\n")
    assert right.exit_code == 0, right.output
    assert verified(bundle, tmp_path / "a.key.pub")[0] == 0


def test_a_bundle_that_a_server_would_refuse_is_not_signed(bundle: Path, key: Path) -> None:
    with (bundle / "golden.json").open("ab") as file:
        file.write(b" ")
    result = run(app, ["bundle", "sign", str(bundle), "--key", str(key)])
    assert result.exit_code == 1
    assert "golden.json: its SHA-256 is" in " ".join(result.stderr.split())
    assert not (bundle / SIGNATURE).exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["verify", "{bundle}", "--key", "{key}.pub"], "not signed. Look at it, then sign it: bedside bundle sign"),
        (["verify", "{bundle}", "--key", "{key}"], "got a private one"),
        (["verify", "nowhere", "--key", "{key}.pub"], "expected a bundle directory"),
        (["sign", "nowhere", "--key", "{key}"], "expected a bundle directory"),
        (["sign", "{bundle}", "--key", "nowhere"], "nowhere: cannot be read: No such file"),
        (["key", "{key}"], "File exists. A key is never replaced"),
    ],
)
def test_a_fault_is_one_sentence_and_a_status(arguments: list[str], expected: str, bundle: Path, key: Path) -> None:
    result = run(app, ["bundle", *(argument.format(bundle=bundle, key=key) for argument in arguments)])
    assert result.exit_code == 1
    assert expected in " ".join(result.stderr.split())
    assert "Traceback" not in result.output
