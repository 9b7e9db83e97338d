"""SMART Backend Services: a token against a signed assertion, kept, replaced in time, and sent to nobody else."""

import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from joserfc import jwt

from features.client.errors import AuthorizationError, ClientError
from features.client.search import search
from features.client.server import FhirServer, open_server
from features.client.signing import SigningKey, load_key
from features.client.smart import BackendServices, Client
from features.client.transport import Request, Transport
from features.client.urls import origin_of
from tests.features.client.fake_server import PATIENCE, START, FakeServer, Reply, Time, certificates, json
from tests.features.client.keys import KEY, write_key

TOKEN_PATH, PATH = "/auth/token", "/fhir/Observation"
PAGE = json({"resourceType": "Bundle", "entry": []})


def granted(token: str, *, expires_in: float | None = 300) -> Reply:
    return json({"access_token": token, "token_type": "Bearer", "expires_in": expires_in})


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(client_id="bedside", key=load_key(write_key(tmp_path)), scope="system/Observation.rs")


@pytest.fixture
def server(fake: FakeServer, time: Time, client: Client) -> Iterator[FhirServer]:
    """A server that gives tokens at TOKEN_PATH."""
    fake.on("/fhir/.well-known/smart-configuration", json({"token_endpoint": fake.base.replace("/fhir", TOKEN_PATH)}))
    ids = count(1)
    with open_server(
        fake.base,
        client=client,
        patience=PATIENCE,
        pace=time.pace(),
        new_id=lambda: f"id-{next(ids)}",
        certificates=certificates(),
    ) as opened:
        yield opened


def ask(server: FhirServer) -> None:
    assert len(list(server.search("Observation", []))) == 1


def sent_tokens(fake: FakeServer) -> list[str | None]:
    return [one.headers.get("authorization") for one in fake.at(PATH)]


def assertion(fake: FakeServer, place: int = -1) -> jwt.Token:
    form = fake.at(TOKEN_PATH)[place].form
    return jwt.decode(form["client_assertion"][0], KEY, algorithms=["ES384"])


def test_the_assertion_says_what_the_standard_asks_for(fake: FakeServer, server: FhirServer) -> None:
    fake.on(TOKEN_PATH, granted("one"))
    fake.on(PATH, PAGE)
    ask(server)
    form = dict(fake.at(TOKEN_PATH)[0].form)
    signed = assertion(fake)
    assert signed.header == {"alg": "ES384", "kid": "key-1", "typ": "JWT"}
    assert signed.claims == {
        "iss": "bedside",
        "sub": "bedside",
        "aud": fake.base.replace("/fhir", TOKEN_PATH),
        "exp": int(START) + 240,
        "jti": "id-1",
    }
    del form["client_assertion"]
    assert form == {
        "grant_type": ["client_credentials"],
        "scope": ["system/Observation.rs"],
        "client_assertion_type": ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"],
    }
    assert "authorization" not in fake.at(TOKEN_PATH)[0].headers


@pytest.mark.parametrize(
    ("expires_in", "later", "tokens"),
    [
        pytest.param(300, 269, 1, id="still good"),
        pytest.param(300, 271, 2, id="shortly before its end"),
        pytest.param(10, 4, 1, id="short-lived, still good"),
        pytest.param(10, 6, 2, id="short-lived, past half of its life"),
        pytest.param(None, 31, 2, id="nobody says how long it lives"),
    ],
)
def test_a_token_is_kept_until_shortly_before_its_end(
    expires_in: float | None, later: float, tokens: int, fake: FakeServer, server: FhirServer, time: Time
) -> None:
    fake.on(TOKEN_PATH, granted("one", expires_in=expires_in), granted("two"))
    fake.on(PATH, PAGE)
    ask(server)
    time.now += later
    ask(server)
    assert len(fake.at(TOKEN_PATH)) == tokens
    assert sent_tokens(fake) == ["Bearer one", "Bearer one" if tokens == 1 else "Bearer two"]


def test_a_token_that_is_refused_is_replaced_once(fake: FakeServer, server: FhirServer) -> None:
    fake.on(TOKEN_PATH, granted("one"), granted("two"))
    fake.on(PATH, Reply(status=401), PAGE)
    ask(server)
    assert sent_tokens(fake) == ["Bearer one", "Bearer two"]
    fake.on(PATH, Reply(status=401))
    with pytest.raises(AuthorizationError, match=r"HTTP 401.*registration and scope"):
        ask(server)
    assert len(fake.at(PATH)) == 4


def test_each_try_for_a_token_has_an_id_of_its_own(fake: FakeServer, server: FhirServer, time: Time) -> None:
    fake.on(TOKEN_PATH, Reply(status=503), granted("one"))
    fake.on(PATH, PAGE)
    ask(server)
    assert [assertion(fake, place).claims["jti"] for place in (0, 1)] == ["id-1", "id-2"]
    assert time.waits == [1]


def test_a_token_goes_to_no_other_origin(fake: FakeServer, elsewhere: FakeServer, server: FhirServer) -> None:
    fake.on(TOKEN_PATH, granted("one"))
    fake.on(PATH, Reply(status=307, headers={"Location": f"{elsewhere.base}/Observation"}))
    elsewhere.on(PATH, PAGE)
    with pytest.raises(ClientError, match="expected a link to"):
        ask(server)
    assert elsewhere.asked == []


def test_another_origin_that_may_be_asked_gets_no_token(
    fake: FakeServer, elsewhere: FakeServer, transport: Transport, client: Client
) -> None:
    fake.on(TOKEN_PATH, granted("one"))
    elsewhere.on(PATH, PAGE)
    endpoint = fake.base.replace("/fhir", TOKEN_PATH)
    tokens = BackendServices(transport, client, token_endpoint=endpoint, new_id=lambda: "id")
    url = f"{elsewhere.base}/Observation"
    answer = transport.authorized(tokens).send(Request(url=url, other_origins=frozenset({origin_of(url)})))
    assert (answer.status, sent_tokens(elsewhere)) == (200, [None])


def test_a_token_does_not_go_where_others_could_read_it(client: Client, transport: Transport) -> None:
    transport.base = "http://fhir.example/r4"
    endpoint = "https://auth.example/token"
    tokens = BackendServices(transport, client, token_endpoint=endpoint, new_id=lambda: "id")
    with pytest.raises(AuthorizationError, match=r"http://fhir\.example/r4/Patient: a token is sent over https only"):
        transport.authorized(tokens).send(Request(url="http://fhir.example/r4/Patient"))
    with pytest.raises(AuthorizationError, match="expected a token endpoint with https"):
        BackendServices(transport, client, token_endpoint=endpoint.replace("https", "http"), new_id=lambda: "id")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        pytest.param(json({"error": "invalid_client", "error_description": "no such key"}, status=401),
                     r"no token for client bedside, key key-1 \(ES384\): HTTP 401. It says: invalid_client no such "
                     "key. Check that the client's id", id="invalid_client"),
        pytest.param(json({"error": "invalid_scope"}, status=400), "Ask for a scope", id="invalid_scope"),
        pytest.param(json({"error": "new"}, status=400), "server's own log", id="an error of no kind"),
        pytest.param(Reply(status=404, body=b"<html>"), "HTTP 404. See", id="a page"),
        pytest.param(json({"token": "secret"}), "expected an access_token", id="no token"),
        pytest.param(json({"access_token": "secret", "token_type": "mac"}), "expected a bearer", id="another kind"),
    ],
)  # fmt: skip
def test_why_no_token_was_given_is_said(reply: Reply, text: str, fake: FakeServer, server: FhirServer) -> None:
    fake.on(TOKEN_PATH, reply)
    with pytest.raises(AuthorizationError, match=text) as caught:
        ask(server)
    assert "secret" not in str(caught.value)
    assert fake.at(PATH) == []


@pytest.mark.parametrize(
    ("configuration", "text"),
    [
        pytest.param(json({}), "expected a SMART configuration with a token_endpoint", id="no endpoint"),
        pytest.param(json({}, status=404), "HTTP 404", id="no SMART"),
        pytest.param(Reply(body=b"<html>"), "an HTML page", id="a page"),
        pytest.param(json({"token_endpoint": "https://a.example", "token_endpoint_auth_methods_supported": ["x"]}),
                     "expected private_key_jwt", id="another way in"),
        pytest.param(
            json({"token_endpoint": "https://a.example",
                  "token_endpoint_auth_signing_alg_values_supported": ["RS384"]}),
            "our key signs ES384; the server takes RS384", id="another algorithm"),
    ],
)  # fmt: skip
def test_a_server_that_does_not_let_us_in_so_says_why(
    configuration: Reply, text: str, fake: FakeServer, time: Time, client: Client
) -> None:
    fake.on("/fhir/.well-known/smart-configuration", configuration)
    with (
        pytest.raises(ClientError, match=text),
        open_server(fake.base, client=client, patience=PATIENCE, pace=time.pace(), certificates=certificates()),
    ):
        pass


def test_no_secret_is_shown_or_logged(
    fake: FakeServer, server: FhirServer, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    fake.on(TOKEN_PATH, granted("secret-token"))
    fake.on(PATH, PAGE)
    with caplog.at_level(logging.DEBUG):
        ask(server)
    private = str(KEY.as_dict(private=True)["d"])
    signed = fake.at(TOKEN_PATH)[0].form["client_assertion"][0]
    shown = caplog.text + repr(client) + repr(Request(url="https://a.example", form={"client_assertion": signed}))
    assert [one for one in (private, "secret-token", signed) if one in shown] == []
    assert isinstance(client.key, SigningKey)


def test_a_server_that_asks_nobody_gets_no_token(fake: FakeServer, transport: Transport) -> None:
    fake.on(PATH, PAGE)
    list(search(transport, "Observation", []))
    assert sent_tokens(fake) == [None]


@pytest.mark.parametrize(
    ("reply", "version"),
    [
        (json({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1", "rest": []}), "4.0.1"),
        (json({"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}), "5.0.0"),
    ],
    ids=["R4", "R5"],
)
def test_the_fhir_version_is_what_the_server_says(reply: Reply, version: str, fake: FakeServer) -> None:
    fake.on("/fhir/metadata", reply)
    with open_server(f"{fake.base}/", certificates=certificates()) as server:
        assert server.fhir_version() == version


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (json({"resourceType": "CapabilityStatement"}), "expected a CapabilityStatement with its fhirVersion"),
        (json({}, status=404), "HTTP 404"),
        (Reply(body=b"<html>"), "an HTML page"),
    ],
    ids=["no version", "404", "a page"],
)
def test_a_server_that_does_not_say_its_version_is_an_error(reply: Reply, text: str, fake: FakeServer) -> None:
    fake.on("/fhir/metadata", reply)
    with open_server(fake.base, certificates=certificates()) as server, pytest.raises(ClientError, match=text):
        server.fhir_version()
