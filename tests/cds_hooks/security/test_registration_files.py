"""Registrations as a site writes them: what is read, and what is refused with file, client and field."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from cds_hooks.security.errors import RegistrationError
from cds_hooks.security.registration_files import load_registrations
from cds_hooks.security.registrations import Registration
from cds_hooks.security.urls import read_url
from tests.cds_hooks.security.clients import (
    ABSENT,
    KEYS_URL,
    OTHER_ISSUER,
    client,
    ec_key,
    public,
    registered,
    rsa_key,
    toml_keys,
)

FULL = client(
    tenants=["t-1"],
    algorithms=["PS384", "ES384"],
    jku=["https://keys.example/a"],
    token_lifetime_seconds=60,
    fhir_servers=["https://fhir.example/r4/", "http://127.0.0.1:8080/fhir"],
    networks=["10.20.0.0/16", "127.0.0.0/8", "169.254.169.254/32"],
    scopes=["patient/Observation.rs", "user/*.read"],
    cors_origins=["https://app.example"],
    requests_per_minute=30,
)


def test_every_field_is_read(tmp_path: Path) -> None:
    (read,) = registered(tmp_path, FULL)
    assert (read.name, *read.tenants, *sorted(read.algorithms)) == ("ward-ehr", "t-1", "ES384", "PS384")
    assert (read.jwks_url, *read.jku) == (read_url(KEYS_URL), read_url("https://keys.example/a"))
    assert read.fhir_servers == {read_url("https://fhir.example/r4"), read_url("http://127.0.0.1:8080/fhir")}
    assert [str(network) for network in read.networks] == ["10.20.0.0/16", "127.0.0.0/8", "169.254.169.254/32"]
    assert (read.token_lifetime_seconds, read.requests_per_minute) == (60, 30)
    assert (read.scopes, read.cors_origins) == (("patient/Observation.rs", "user/*.read"), ("https://app.example",))


def test_what_is_left_out_has_a_safe_default(tmp_path: Path) -> None:
    """No FHIR server, no private network, no browser, two algorithms, five minutes."""
    (read,) = registered(tmp_path, client())
    assert (read.fhir_servers, read.networks, read.cors_origins, read.jku) == (frozenset(), (), (), frozenset())
    assert (sorted(read.algorithms), read.token_lifetime_seconds) == (["ES384", "RS384"], 300)
    assert read.requests_per_minute == 600


def test_keys_may_stand_in_the_file(tmp_path: Path) -> None:
    (read,) = registered(tmp_path, client(jwks_url=ABSENT) + "\n" + toml_keys(ec_key(), rsa_key()))
    assert {key_id: key.key_type for key_id, key in read.keys.items()} == {"ec-1": "EC", "rsa-1": "RSA"}


def test_a_folder_of_files_is_read_in_full(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.toml").write_text(f"[[client]]\n{client(name=name, issuer=f'https://{name}.example')}")
    (tmp_path / "notes.txt").write_text("not a registration")
    assert [read.name for read in load_registrations(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"fhir_server": "https://x.example"}, "unknown field `fhir_server`", id="unknown field"),
        pytest.param({"issuer": ABSENT}, "missing required field `issuer`", id="no issuer"),
        pytest.param({"issuer": ""}, "issuer: ", id="empty issuer"),
        pytest.param({"issuer": "https://ehr.example/ "}, "issuer: ", id="issuer with a space"),
        pytest.param({"services": []}, "services: ", id="no service"),
        pytest.param({"services": "aki"}, "services: ", id="services no list"),
        pytest.param({"services": ["aki", "aki"]}, "services: expected each value once", id="a service twice"),
        pytest.param({"algorithms": ["HS256"]}, "algorithms[0]: ", id="A-05 HMAC"),
        pytest.param({"algorithms": ["none"]}, "algorithms[0]: ", id="A-04 none"),
        pytest.param({"algorithms": ["RS256"]}, "algorithms[0]: ", id="RS256"),
        pytest.param({"algorithms": []}, "algorithms: ", id="no algorithm"),
        pytest.param({"jwks_url": ABSENT}, "keys: expected keys, jwks_url or jku", id="no keys at all"),
        pytest.param({"jwks_url": "http://ehr.example/keys"}, "jwks_url: expected https", id="keys without TLS"),
        pytest.param(
            {"jwks_url": "https://ehr.example"}, "jwks_url: expected the URL of a JWK Set", id="keys, no path"
        ),
        pytest.param(
            {"jwks_url": "https://10.0.0.1/keys"}, "jwks_url: expected a public address", id="private address"
        ),
        pytest.param(
            {"jwks_url": "https://169.254.169.254/keys", "networks": ["169.254.0.0/16"]},
            "jwks_url: expected a public address",
            id="metadata service",
        ),
        pytest.param(
            {"jku": ["https://u@keys.example/a"]}, "jku: got 'https://u@keys.example/a'", id="jku with a user"
        ),
        pytest.param({"fhir_servers": ["fhir.example"]}, "fhir_servers: got 'fhir.example'", id="server no URL"),
        pytest.param({"fhir_servers": ["https://2130706433/"]}, "fhir_servers: got", id="server a decimal number"),
        pytest.param({"networks": ["10.0.0.1/8"]}, "networks: got '10.0.0.1/8'", id="network with host bits"),
        pytest.param({"networks": ["0.0.0.0/0"]}, "networks: expected a network no wider", id="all networks"),
        pytest.param({"networks": ["::/0"]}, "networks: expected a network no wider", id="all IPv6 networks"),
        pytest.param({"scopes": ["openid"]}, "scopes: expected SMART scopes", id="scope for no resource"),
        pytest.param({"cors_origins": ["*"]}, "cors_origins: expected the origins", id="O-05 any origin"),
        pytest.param({"cors_origins": ["https://a.example/x"]}, "cors_origins: got", id="origin with a path"),
        pytest.param({"requests_per_minute": 0}, "requests_per_minute: ", id="no request"),
        pytest.param({"token_lifetime_seconds": 3601}, "token_lifetime_seconds: ", id="A-22 more than an hour"),
        pytest.param({"tenants": ["a", "a"]}, "tenants: expected each value once", id="a tenant twice"),
    ],
)
def test_a_mistake_is_named_with_file_client_and_field(changes: dict[str, Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(RegistrationError) as refused:
        registered(tmp_path, client(**changes))
    message = str(refused.value)
    assert message.startswith(f"{tmp_path / 'clients.toml'}: client ward-ehr: ")
    assert complaint in message


@pytest.mark.parametrize(
    ("keys", "complaint"),
    [
        pytest.param([ec_key(), ec_key()], "got two of one kid", id="one kid twice"),
        pytest.param([ec_key("p256", "P-256")], "expected kty RSA, or kty EC on P-384", id="P-256"),
    ],
)
def test_keys_in_the_file_are_all_checked(keys: list[Any], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="client ward-ehr: keys: ") as refused:
        registered(tmp_path, client(jwks_url=ABSENT) + "\n" + toml_keys(*keys))
    assert complaint in str(refused.value)


def test_a_key_that_no_agreed_algorithm_uses_is_a_mistake(tmp_path: Path) -> None:
    text = client(jwks_url=ABSENT, algorithms=["RS384"]) + "\n" + toml_keys(ec_key())
    with pytest.raises(RegistrationError, match="keys: expected keys for RS384, got others: ec-1"):
        registered(tmp_path, text)


def test_a_private_key_in_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    secret = ec_key().as_dict(private=True)
    table = ", ".join(f'{name} = "{value}"' for name, value in secret.items())
    with pytest.raises(RegistrationError, match="expected a public key") as refused:
        registered(tmp_path, client(jwks_url=ABSENT) + f"\nkeys = [{{ {table} }}]")
    assert str(secret["d"]) not in str(refused.value)


def test_keys_and_their_url_are_not_given_both(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match="jwks_url: expected either keys or jwks_url"):
        registered(tmp_path, client() + "\n" + toml_keys(ec_key()))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "at least one", id="empty"),
        pytest.param("[[client]", "expected TOML in UTF-8", id="no TOML"),
        pytest.param("client = 1", "expected [[client]] tables alone", id="no tables"),
        pytest.param("[defaults]\nx = 1", "expected [[client]] tables alone, got ['defaults']", id="another table"),
        pytest.param("[[client]]\nissuer = 'x'", "client number 1: ", id="a client without a name"),
        pytest.param("[[client]]\nname = 'a b'\nissuer = 'x'\nservices = ['*']", "client a b: name: ", id="bad name"),
        pytest.param("client = [1]", "client number 1: ", id="a client that is no table"),
    ],
)
def test_a_file_that_is_none_is_refused(text: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "clients.toml"
    file.write_text(text)
    with pytest.raises(RegistrationError) as refused:
        load_registrations(file)
    assert str(refused.value).startswith(f"{file}: ")
    assert complaint in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match=r"clients\.toml: cannot be read: No such file"):
        load_registrations(tmp_path / "clients.toml")
    (tmp_path / "clients.toml").write_bytes(b"# \xff")
    with pytest.raises(RegistrationError, match="expected TOML in UTF-8"):
        load_registrations(tmp_path / "clients.toml")


@pytest.mark.parametrize(
    ("clients", "complaint"),
    [
        pytest.param((client(), client(issuer=OTHER_ISSUER)), "one registration of a name", id="one name twice"),
        pytest.param((client(), client(name="b")), "tenants: expected some", id="one issuer, no tenants"),
        pytest.param(
            (client(tenants=["t"]), client(name="b")), "tenants: expected some", id="one issuer, some tenants"
        ),
        pytest.param(
            (client(tenants=["t"]), client(name="b", tenants=["t"])),
            "tenants of no other client",
            id="one tenant twice",
        ),
    ],
)
def test_no_token_can_be_of_two_clients(clients: tuple[str, ...], complaint: str, tmp_path: Path) -> None:
    with pytest.raises(RegistrationError, match=complaint):
        registered(tmp_path, *clients)


def test_origins_of_all_clients_may_call(tmp_path: Path) -> None:
    registrations = registered(
        tmp_path,
        client(cors_origins=["https://b.example", "https://a.example"]),
        client(name="b", issuer=OTHER_ISSUER, cors_origins=["https://a.example"]),
    )
    assert registrations.cors().origins == ("https://a.example", "https://b.example")
    assert registered(tmp_path, client()).cors().answer_headers("https://a.example") == {"vary": "Origin"}


def test_services_that_the_server_does_not_have_are_named(tmp_path: Path) -> None:
    registrations = registered(
        tmp_path, client(services=["aki", "sepsis"]), client(name="b", issuer="x", services=["*"])
    )
    registrations.check_services(["aki", "sepsis", "delirium"])
    with pytest.raises(
        RegistrationError, match=r"client ward-ehr: services: expected ids of \['aki'\], got \['sepsis'\]"
    ):
        registrations.check_services(["aki"])


@pytest.mark.parametrize(
    ("scope", "covered"),
    [
        pytest.param("patient/Observation.rs", True, id="X-39 SMART 2"),
        pytest.param("patient/Observation.read", True, id="X-39 SMART 1"),
        pytest.param("user/*.read", True, id="every type"),
        pytest.param("patient/Observation.*", True, id="SMART 1, all rights"),
        pytest.param("system/Observation.cruds", True, id="all rights"),
        pytest.param("patient/Observation.rs?category=laboratory", True, id="narrowed"),
        pytest.param("patient/Observation.r", False, id="reading without searching"),
        pytest.param("patient/Observation.write", False, id="writing"),
        pytest.param("patient/Condition.rs", False, id="another type"),
        pytest.param("patient/ObservationX.rs", False, id="a type that begins so"),
    ],
)
def test_scopes_say_which_types_may_be_read(scope: str, covered: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a table
    (read,) = registered(tmp_path, client(scopes=[scope]))
    assert read.may_read("Observation") is covered


def test_without_scopes_the_access_token_decides(tmp_path: Path) -> None:
    (read,) = registered(tmp_path, client())
    assert read.may_read("Observation")


def test_a_jwk_in_the_file_may_say_more(tmp_path: Path) -> None:
    """Such as the certificate of the key; it is not looked at."""
    table = ", ".join(f'{name} = "{value}"' for name, value in public(ec_key(), use="sig", x5t="abc").items())
    (read,) = registered(tmp_path, client(jwks_url=ABSENT) + f"\nkeys = [{{ {table}, key_ops = ['verify'] }}]")
    assert list(read.keys) == ["ec-1"]


def test_the_registrations_in_our_documentation_are_valid(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, flags=re.DOTALL)
    for number, block in enumerate(blocks):
        (tmp_path / f"{number}.toml").write_text(block, encoding="utf-8")
    assert [client.name for client in load_registrations(tmp_path)] == ["ward-ehr", "clinic"]


def test_our_documentation_names_every_field() -> None:
    text = (Path(__file__).parents[3] / "docs" / "security.md").read_text(encoding="utf-8")
    fields = {field.name for field in dataclasses.fields(Registration)}
    assert [name for name in sorted(fields) if f"`{name}`" not in text] == []
