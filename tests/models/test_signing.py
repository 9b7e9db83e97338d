"""Signatures of bundles: what was signed is what is verified, by us and by OpenSSF's own tool, and nothing else is."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from models.bundle import FILES, LIMITS_BYTES, MANIFEST, SIGNATURE, BundleError, load
from models.catalog import CatalogEntry
from models.signing import SignatureError, _encoded, load_signed, require_signed, sign
from models.signing_keys import KeyFileError, PasswordNeededError, make_key_pair, read_private_key

Json = dict[str, Any]
PASSWORD = b"correct horse"


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and a public key."""
    private, public = tmp_path / "site.key", tmp_path / "site.pub"
    make_key_pair(private, public)
    return private, public


@pytest.fixture
def signed(bundle_copy: Path, keys: tuple[Path, Path]) -> Path:
    """A bundle that was signed with the key."""
    sign(bundle_copy, keys[0])
    return bundle_copy


def test_a_signed_bundle_is_verified_and_loads_with_and_without_the_key(
    signed: Path, keys: tuple[Path, Path], tiny: CatalogEntry
) -> None:
    loaded = load(signed, tiny.spec)
    assert require_signed(signed, keys[1]) == loaded.fingerprint
    assert load_signed(signed, tiny.spec, keys[1]).fingerprint == loaded.fingerprint


def test_a_signature_survives_copying_and_another_name(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(signed, tmp_path / "elsewhere" / "of another name")
    assert require_signed(copy, keys[1]) == require_signed(signed, keys[1])


def test_a_bundle_may_be_signed_again(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    make_key_pair(tmp_path / "next.key", tmp_path / "next.pub")
    sign(signed, tmp_path / "next.key")
    require_signed(signed, tmp_path / "next.pub")
    with pytest.raises(SignatureError, match="signed with another key"):
        require_signed(signed, keys[1])


@pytest.mark.parametrize("name", sorted({*FILES, MANIFEST, SIGNATURE}))
def test_no_byte_of_any_file_can_be_changed(name: str, signed: Path, keys: tuple[Path, Path]) -> None:
    """Of each file a hundred places, its first and its last byte among them; of the signature every third byte."""
    whole = (signed / name).read_bytes()
    step = 3 if name == SIGNATURE else max(1, len(whole) // 100)
    for at in sorted({*range(0, len(whole), step), len(whole) - 1}):
        changed = bytearray(whole)
        changed[at] ^= 1
        (signed / name).write_bytes(changed)
        with pytest.raises(SignatureError):
            require_signed(signed, keys[1])
    (signed / name).write_bytes(whole)
    require_signed(signed, keys[1])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def edit(change: Callable[[Json], object]) -> Callable[[Path], None]:
    """Change the signature file's JSON."""

    def damage(folder: Path) -> None:
        document = json.loads((folder / SIGNATURE).read_bytes())
        change(document)
        (folder / SIGNATURE).write_text(json.dumps(document))

    return damage


def link_out(folder: Path) -> None:
    """The same content, by way of a link out of the folder."""
    (folder / "model.onnx").replace(folder.parent / "model.onnx")
    (folder / "model.onnx").symlink_to(folder.parent / "model.onnx")


DAMAGES = [
    pytest.param(lambda folder: (folder / SIGNATURE).unlink(), "bundle: not signed", id="no signature"),
    pytest.param(shutil.rmtree, "bundle: not signed", id="no folder"),
    pytest.param(lambda folder: flip(folder / "model.onnx"), "model.onnx: changed since it was signed", id="changed"),
    pytest.param(
        lambda folder: (folder / "golden.json").unlink(), r"files that are gone: \['golden.json'\]", id="a file less"
    ),
    pytest.param(
        lambda folder: (folder / ".hidden").touch(), r"files that were not signed: \['.hidden'\]", id="a file more"
    ),
    pytest.param(lambda folder: (folder / "more").mkdir(), "more: expected a plain file", id="a folder more"),
    pytest.param(link_out, "model.onnx: expected a plain file, got a link", id="a link"),
    pytest.param(
        edit(lambda it: it["verificationMaterial"]["publicKey"].update(hint="0" * 64)), "another key", id="other key"
    ),
    pytest.param(
        edit(lambda it: it["dsseEnvelope"].update(payload=base64.b64encode(b"{}").decode())),
        "its signature is not of this key",
        id="other payload",
    ),
    pytest.param(
        edit(lambda it: it["dsseEnvelope"].update(payloadType="text/plain")), "the payload type", id="payload type"
    ),
    pytest.param(
        edit(lambda it: it["dsseEnvelope"]["signatures"].clear()), "with one DSSE signature", id="no signatures"
    ),
    pytest.param(
        edit(lambda it: it["dsseEnvelope"]["signatures"].append({"sig": ""})), "with one DSSE signature", id="two"
    ),
    pytest.param(
        edit(lambda it: it["dsseEnvelope"]["signatures"][0].update(sig="!")), "with one DSSE signature", id="no base64"
    ),
    pytest.param(
        edit(lambda it: it.update(mediaType="application/vnd.dev.sigstore.bundle.v0.4+json")),
        "expected a Sigstore bundle 0.3",
        id="another version",
    ),
    pytest.param(edit(lambda it: it.update(more=1)), "unknown field `more`", id="unknown field"),
    pytest.param(lambda folder: (folder / SIGNATURE).write_text("{"), "Sigstore bundle 0.3", id="no JSON"),
    pytest.param(
        lambda folder: (folder / SIGNATURE).write_text('{"verificationMaterial":{"tlogEntries":' + "[" * 100_000),
        "Sigstore bundle 0.3",
        id="nested beyond all measure",
    ),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_each_failure_says_what_is_wrong(
    damage: Callable[[Path], object], message: str, signed: Path, keys: tuple[Path, Path]
) -> None:
    damage(signed)
    with pytest.raises(SignatureError, match=message) as caught:
        require_signed(signed, keys[1])
    assert str(signed.parent) not in str(caught.value)


def resigned(folder: Path, private: Path, change: Callable[[Json], object]) -> None:
    """A statement that somebody with the key signed, and that no tool wrote."""
    document = json.loads((folder / SIGNATURE).read_bytes())
    statement = json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    signature = read_private_key(private).sign(_encoded(payload), ec.ECDSA(hashes.SHA256()))
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    (folder / SIGNATURE).write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lambda it: it["predicate"]["resources"].pop(), "its statement contradicts itself", id="a file left out"
        ),
        pytest.param(
            lambda it: it["predicate"]["resources"].append(it["predicate"]["resources"][0]),
            "its statement contradicts itself",
            id="a file twice",
        ),
        pytest.param(lambda it: it["subject"].append(it["subject"][0]), "contradicts itself", id="two subjects"),
        pytest.param(
            lambda it: it["predicate"]["resources"][0].update(algorithm="md5"), "Invalid enum value", id="another hash"
        ),
        pytest.param(
            lambda it: it["predicate"]["serialization"].update(method="shards"), "Invalid enum value", id="by shards"
        ),
        pytest.param(
            lambda it: it.update(predicateType="https://slsa.dev/provenance/v1"),
            "expected a statement of model signing 1.0",
            id="a statement about something else",
        ),
        pytest.param(lambda it: it.pop("predicate"), "missing required field `predicate`", id="no predicate"),
    ],
)
def test_what_was_signed_must_be_a_whole_statement(
    change: Callable[[Json], object], message: str, signed: Path, keys: tuple[Path, Path]
) -> None:
    resigned(signed, keys[0], change)
    with pytest.raises(SignatureError, match=message):
        require_signed(signed, keys[1])


def test_paths_that_a_signature_says_to_ignore_are_not_ignored(signed: Path, keys: tuple[Path, Path]) -> None:
    resigned(signed, keys[0], lambda it: it["predicate"]["serialization"]["ignore_paths"].append("extra.so"))
    require_signed(signed, keys[1])
    (signed / "extra.so").touch()
    with pytest.raises(SignatureError, match="were not signed"):
        require_signed(signed, keys[1])


def test_a_bundle_that_changes_while_it_is_read_is_refused(
    signed: Path, keys: tuple[Path, Path], tiny: CatalogEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.signing.require_signed", lambda *_: "0" * 64)
    with pytest.raises(SignatureError, match="changed while it was read"):
        load_signed(signed, tiny.spec, keys[1])


def test_what_is_no_bundle_is_not_signed(keys: tuple[Path, Path], tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    with pytest.raises(SignatureError, match="expected a bundle directory with manifest"):
        sign(folder, keys[0])
    with pytest.raises(SignatureError, match="No such file"):
        sign(tmp_path / "nothing", keys[0])


def test_a_link_in_place_of_the_signature_is_replaced_and_not_followed(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "precious").write_text("keep")
    (signed / SIGNATURE).unlink()
    (signed / SIGNATURE).symlink_to(tmp_path / "precious")
    sign(signed, keys[0])
    assert (tmp_path / "precious").read_text() == "keep"
    require_signed(signed, keys[1])


def model_signing(*arguments: object) -> subprocess.CompletedProcess[str]:
    """OpenSSF's own tool, in a process of its own."""
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name)
def test_openssf_verifies_what_we_sign_and_we_verify_what_it_signs(
    curve: ec.EllipticCurve, bundle_copy: Path, tmp_path: Path
) -> None:
    private, public = pem_pair(ec.generate_private_key(curve), tmp_path)
    signature = bundle_copy / SIGNATURE
    verify = ("verify", "key", bundle_copy, "--public_key", public, "--signature", signature)
    fingerprint = sign(bundle_copy, private)
    assert model_signing(*verify).returncode == 0, model_signing(*verify).stderr
    flip(bundle_copy / "golden.json")
    assert model_signing(*verify).returncode != 0
    flip(bundle_copy / "golden.json")
    signature.unlink()
    done = model_signing("sign", "key", bundle_copy, "--private_key", private, "--signature", signature)
    assert done.returncode == 0, done.stderr
    assert require_signed(bundle_copy, public) == fingerprint


def pem_pair(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, folder: Path) -> tuple[Path, Path]:
    private, public = folder / "a.key", folder / "a.pub"
    private.touch(0o600)
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256K1()), rsa.generate_private_key(65_537, 2_048)],
    ids=["a curve of another family", "RSA"],
)
def test_other_kinds_of_keys_are_refused(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, signed: Path, tmp_path: Path
) -> None:
    private, public = pem_pair(key, tmp_path)
    with pytest.raises(KeyFileError, match="expected a key on P-256, P-384 or P-521"):
        sign(signed, private)
    with pytest.raises(KeyFileError, match="expected a key on P-256, P-384 or P-521"):
        require_signed(signed, public)


def test_a_key_pair_is_for_its_owner_alone_and_never_replaced(keys: tuple[Path, Path]) -> None:
    private, public = keys
    assert private.stat().st_mode & 0o777 == 0o600
    before = private.read_bytes()
    with pytest.raises(KeyFileError, match=r"site.key: cannot be written: File exists"):
        make_key_pair(private, public)
    assert private.read_bytes() == before


def test_a_private_key_that_others_may_read_does_not_sign(keys: tuple[Path, Path], bundle_copy: Path) -> None:
    keys[0].chmod(0o640)
    with pytest.raises(KeyFileError, match=r"site.key: its mode is 640.*chmod 600"):
        sign(bundle_copy, keys[0])
    assert not (bundle_copy / SIGNATURE).exists()


def test_an_encrypted_key_needs_its_password(bundle_copy: Path, tmp_path: Path) -> None:
    private, public = tmp_path / "a.key", tmp_path / "a.pub"
    make_key_pair(private, public, password=PASSWORD)
    assert b"ENCRYPTED" in private.read_bytes()
    with pytest.raises(PasswordNeededError):
        sign(bundle_copy, private)
    with pytest.raises(KeyFileError, match="the password is wrong"):
        sign(bundle_copy, private, password=b"battery staple")
    sign(bundle_copy, private, password=PASSWORD)
    require_signed(bundle_copy, public)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a public key as PEM"),
        (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "expected a public key as PEM"),
        (b"x" * (64 * 1024 + 1), "expected at most 65,536 bytes"),
        (None, "cannot be read: No such file"),
    ],
    ids=["empty", "nonsense", "huge", "not there"],
)
def test_a_public_key_that_is_none_is_refused(
    content: bytes | None, message: str, signed: Path, tmp_path: Path
) -> None:
    path = tmp_path / "some.pub"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(KeyFileError, match=message):
        require_signed(signed, path)


def test_the_private_key_is_not_taken_for_the_public_one(signed: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(KeyFileError, match="got a private one"):
        require_signed(signed, keys[0])


def test_a_password_for_a_key_that_has_none_is_a_mistake(signed: Path, keys: tuple[Path, Path]) -> None:
    with pytest.raises(KeyFileError, match="not encrypted"):
        sign(signed, keys[0], password=PASSWORD)


def test_a_file_above_its_limit_is_not_read(signed: Path, keys: tuple[Path, Path], tiny: CatalogEntry) -> None:
    with (signed / "model.onnx").open("r+b") as file:
        file.truncate(LIMITS_BYTES["model.onnx"] + 1)  # a hole: it takes no place on the disk
    for refuse in (lambda: require_signed(signed, keys[1]), lambda: load(signed, tiny.spec)):
        with pytest.raises(BundleError, match=r"model.onnx: expected at most 536,870,912 bytes, it has 536,870,913"):
            refuse()
