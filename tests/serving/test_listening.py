"""Listening: development stays on this machine, and TLS that cannot be used is found out before anything is served."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from starlette.types import Receive, Scope, Send

from serving.listening import ListenError, Tls, bound, configuration, require_loopback

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])


def self_signed(folder: Path, name: str = "server", encryption: KeySerializationEncryption | None = None) -> Tls:
    """A certificate for localhost and its key, as files."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    tls = Tls(certificate=folder / f"{name}.pem", key=folder / f"{name}.key")
    tls.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    tls.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    return tls


async def nothing(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """An application that does not answer."""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_of_this_machine_alone_is_taken(host: str) -> None:
    with bound(host, 0) as sockets:
        require_loopback(sockets)


def test_an_address_that_others_reach_is_refused_and_it_is_said_what_to_do() -> None:
    with bound("0.0.0.0", 0) as sockets, pytest.raises(ListenError, match=r"got 0\.0\.0\.0: .*--expose"):  # noqa: S104
        require_loopback(sockets)


def test_tls_is_modern_and_the_answers_name_no_server(tmp_path: Path) -> None:
    config = configuration(nothing, backlog=1, tls=self_signed(tmp_path))
    assert config.ssl is not None
    names = {cipher["name"] for cipher in config.ssl.get_ciphers()}
    assert names
    assert not [name for name in names if not name.startswith(("TLS_", "ECDHE-"))]
    assert not [name for name in names if "GCM" not in name and "CHACHA20" not in name]
    assert (config.server_header, config.proxy_headers) == (False, False)


def test_files_that_are_no_pair_are_refused(tmp_path: Path) -> None:
    one, other = self_signed(tmp_path, "one"), self_signed(tmp_path, "other")
    encrypted = self_signed(tmp_path, "encrypted", BestAvailableEncryption(b"pass phrase"))
    missing = Tls(certificate=tmp_path / "missing.pem", key=one.key)
    for tls in (Tls(certificate=one.certificate, key=other.key), encrypted, missing):
        with pytest.raises(ListenError, match=r"TLS: expected PEM files of a certificate .* without a pass phrase"):
            configuration(nothing, backlog=1, tls=tls)
