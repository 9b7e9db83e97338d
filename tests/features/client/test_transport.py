"""Transport: what cannot be trusted is not asked again, and what does not answer is."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from features.client.errors import OtherOriginError, UnavailableError
from features.client.transport import Request, Transport, open_transport
from tests.features.client.fake_server import PATIENCE, FakeServer, Reply, Time, certificates, fake_server

REPLY = Reply(body=b"{}")


def self_signed(folder: Path) -> Path:
    """A certificate for this machine that no authority signed, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a hospital")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, SHA256())
    )
    file = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    return file


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    return self_signed(tmp_path)


@pytest.fixture
def secure(certificate: Path) -> Iterator[FakeServer]:
    """A server that speaks TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with fake_server(tls=context) as server:
        yield server


@contextmanager
def trusting(secure: FakeServer, time: Time, context: ssl.SSLContext) -> Iterator[Transport]:
    with open_transport(
        secure.base, patience=PATIENCE, pace=time.pace(), timeout_seconds=5, certificates=context
    ) as opened:
        yield opened


def test_a_certificate_that_is_not_trusted_ends_it_at_once(secure: FakeServer, time: Time) -> None:
    with (
        trusting(secure, time, certificates()) as transport,
        pytest.raises(UnavailableError, match="name the authority"),
    ):
        transport.send(Request(url=f"{secure.base}/Patient"))
    assert (secure.asked, time.waits) == ([], [])


def test_a_hospital_s_own_authority_can_be_named(secure: FakeServer, time: Time, certificate: Path) -> None:
    secure.on("/fhir/Patient", REPLY)
    with trusting(secure, time, ssl.create_default_context(cafile=str(certificate))) as transport:
        assert transport.send(Request(url=f"{secure.base}/Patient")).status == 200


def test_a_server_that_does_not_answer_in_time_is_asked_again(fake: FakeServer, time: Time) -> None:
    never = threading.Event()
    fake.on("/fhir/Patient", Reply(body=b"{}", cut=0, hold=never), REPLY)
    with open_transport(
        fake.base, patience=PATIENCE, pace=time.pace(), timeout_seconds=0.2, certificates=certificates()
    ) as transport:
        assert transport.send(Request(url=f"{fake.base}/Patient")).status == 200
    never.set()
    assert time.waits == [1]


def test_a_url_on_another_origin_is_not_asked(elsewhere: FakeServer, transport: Transport) -> None:
    with pytest.raises(OtherOriginError):
        transport.send(Request(url=f"{elsewhere.base}/Patient"))
    assert elsewhere.asked == []


def test_a_url_that_cannot_be_used_is_an_error(transport: Transport, fake: FakeServer) -> None:
    with pytest.raises(OtherOriginError, match="cannot be used"):
        transport.send(Request(url=f"{fake.base}/Patient?{'x' * 100_000}"))
