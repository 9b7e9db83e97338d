"""Signing keys: read from the forms in which hospitals keep them; one that cannot sign is refused, never repeated."""

import json as plain_json
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from features.client.signing import KeyFileError, load_key
from tests.features.client.keys import KEY, RSA, write_key


def key_set(folder: Path) -> Path:
    file = folder / "keys.json"
    keys = [{**KEY.as_dict(private=True), "kid": "key-1"}, {**RSA.as_dict(private=True), "kid": "key-2"}]
    file.write_text(plain_json.dumps({"keys": [*keys, {**KEY.as_dict(private=False), "kid": "key-1"}]}))
    return file


@pytest.mark.parametrize(
    ("data", "key_id", "expected"),
    [
        pytest.param("ec.json", None, ("key-1", "ES384"), id="EC as JWK"),
        pytest.param("ec.pem", "mine", ("mine", "ES384"), id="EC as PEM"),
        pytest.param("rsa.json", None, ("key-1", "RS384"), id="RSA as JWK"),
        pytest.param("rsa.pem", "mine", ("mine", "RS384"), id="RSA as PEM"),
        pytest.param("set", "key-2", ("key-2", "RS384"), id="one of a set"),
    ],
)
def test_keys_are_read_from_jwk_and_pem(
    data: str, key_id: str | None, expected: tuple[str, str], tmp_path: Path
) -> None:
    key = RSA if data.startswith("rsa") else KEY
    file = key_set(tmp_path) if data == "set" else write_key(tmp_path, key)
    if data.endswith(".pem"):
        file.write_bytes(key.as_pem(private=True))
    loaded = load_key(file, key_id=key_id)
    assert (loaded.key_id, loaded.algorithm) == expected
    public = KeySet([KEY, RSA]).keys[0 if expected[1] == "ES384" else 1]
    assert jwt.decode(loaded.sign({"iss": "me"}), public, algorithms=[expected[1]]).claims == {"iss": "me"}


@pytest.mark.parametrize(
    ("content", "key_id", "text"),
    [
        pytest.param(b"no key", "k", "expected a private RSA or EC key", id="no key"),
        pytest.param(b'{"kty": "EC", "d": "c2VjcmV0', None, "JSON that breaks off", id="a JWK that breaks off"),
        pytest.param(b'{"kty": "EC", "d": "c2VjcmV0", "kid": "k"}', None, "cannot be used", id="half a JWK"),
        pytest.param(b'{"kty": "oct", "d": "c2VjcmV0", "kid": "k"}', None, "cannot be used", id="another kind"),
        pytest.param(KEY.as_pem(private=True), None, "has no key id", id="PEM without an id"),
        pytest.param(KEY.as_pem(private=False), "k", "expected the private key", id="the public half"),
        pytest.param(ECKey.generate_key("P-256").as_pem(private=True), "k", "on P-384, got one on P-256", id="P-256"),
        pytest.param(KEY.as_pem(True, "pw"), "k", "without a password", id="with a password"),
        pytest.param(plain_json.dumps(KEY.as_dict(private=True)).encode(), None, "has no `kid`", id="a JWK without id"),
        pytest.param(plain_json.dumps({**KEY.as_dict(private=True), "kid": "k", "alg": "ES256"}).encode(), None,
                     "for another algorithm", id="a JWK for another algorithm"),
        pytest.param(plain_json.dumps({**KEY.as_dict(private=True), "kid": "k"}).encode(), "other",
                     "expected one private key with the id other, got 0", id="another id"),
        pytest.param(b'{"keys": []}', None, "expected one private key, got 0", id="an empty set"),
    ],
)  # fmt: skip
def test_a_key_that_cannot_sign_is_refused_and_never_repeated(
    content: bytes, key_id: str | None, text: str, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(KeyFileError, match=text) as caught:
        load_key(file, key_id=key_id)
    shown = repr(caught.value) + repr(caught.value.__context__ if not caught.value.__suppress_context__ else "")
    assert "c2VjcmV0" not in shown
    assert str(file) in shown


def test_a_short_rsa_key_is_refused(tmp_path: Path) -> None:
    with pytest.warns(match="2048"):
        short = RSAKey.generate_key(1024)
    with pytest.raises(KeyFileError, match="2048 bits or more, got one of 1024"):
        load_key(write_key(tmp_path, short))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="nowhere: No such file"):
        load_key(tmp_path / "nowhere")
