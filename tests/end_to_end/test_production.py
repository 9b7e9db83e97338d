"""Production, whole: a real server over TLS with two workers, signed bundles and a registered client."""

import hmac
import json
import os
import shutil
import signal
import ssl
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cds_hooks.response import decode_response
from models.bundle import SIGNATURE
from models.catalog import catalog
from models.signing import sign
from models.signing_keys import make_key_pair
from serving.journal import Journal
from tests.cds_hooks.security.clients import ABSENT, ISSUER, client, ec_key, encoded, header, public, signed, toml_keys
from tests.server_process import ROOT, Server, eventually, free_port, running
from tests.serving.journal_examples import url
from tests.serving.test_listening import self_signed

EXAMPLE = ROOT / "models" / "sepsis" / "examples" / "2-raised.json"
CALL = "/cds-services/sepsis"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked, and found through procfs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """A running server and what a client needs to call it."""

    server: Server
    url: str
    certificate: Path
    state: Path

    def claims(self, path: str = CALL, **changes: Any) -> dict[str, Any]:
        """What a good token for this path says, now, with changes."""
        now = int(time.time())
        plain = {"iss": ISSUER, "aud": self.url + path, "iat": now, "exp": now + 60, "jti": f"CANARY-{uuid4()}"}
        return {name: value for name, value in (plain | changes).items() if value is not ABSENT}

    def send(self, token: str | None, *, method: str = "POST", path: str = CALL, body: Any = None) -> httpx.Response:
        """One request on a connection of its own."""
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        trusted = ssl.create_default_context(cafile=self.certificate)
        with httpx.Client(verify=trusted, timeout=30) as client:
            return client.request(method, self.url + path, headers=headers, json=body)

    def call(self, token: str | None, *, path: str = CALL) -> httpx.Response:
        return self.send(token, path=path, body=json.loads(EXAMPLE.read_text(encoding="utf-8"))["request"])

    @contextmanager
    def answered_by(self, worker: int) -> Iterator[None]:
        """While the others stand still."""
        others = self.server.workers() - {worker}
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)


def bundles_signed(folder: Path) -> Iterator[str]:
    """The released bundles, copied and signed with a key of the site, as options of the command line."""
    private, key = folder / "bundles.key", folder / "bundles.pub"
    make_key_pair(private, key)
    yield from ("--bundle-key", str(key))
    for entry in catalog():
        if entry.released is not None:
            copy = folder / entry.spec.id / "bundle"
            shutil.copytree(entry.released, copy)
            sign(copy, private)
            yield from ("--bundle", str(copy))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder, port = tmp_path_factory.mktemp("hospital"), free_port()
    tls, state = self_signed(folder), folder / "state"
    table = client(services=["sepsis"], jwks_url=ABSENT)
    (folder / "clients.toml").write_text(f"[[client]]\n{table}\n{toml_keys(ec_key())}\n", encoding="utf-8")
    options: Mapping[str, str] = {
        "--environment": "production",
        "--workers": "2",
        "--host": "127.0.0.1",
        "--port": str(port),
        "--public-url": f"https://localhost:{port}",
        "--clients": str(folder / "clients.toml"),
        "--tls-certificate": str(tls.certificate),
        "--tls-key": str(tls.key),
        "--state": str(state),
    }
    words = (word for option in options.items() for word in option)
    command = ("-m", "bedside.cli", "serve", *words, *bundles_signed(folder))
    with running(folder, *command, port=port, until="2 workers accept calls") as server:
        assert server.process.poll() is None, server.log.read_text(encoding="utf-8")
        yield Hospital(server=server, url=f"https://localhost:{port}", certificate=tls.certificate, state=state)


def _none(claims: Mapping[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header(alg="none"), claims))
    return b".".join(map(encoded, parts)).decode() + "."


def _hs256(claims: Mapping[str, Any]) -> str:
    """Signed with the public key as if it were a shared secret."""
    parts = (json.dumps(part).encode() for part in (header(alg="HS256"), claims))
    signing_input = b".".join(map(encoded, parts))
    mac = hmac.digest(json.dumps(public(ec_key())).encode(), signing_input, "sha256")
    return (signing_input + b"." + encoded(mac)).decode()


def test_who_belongs_is_let_in_and_nobody_else(hospital: Hospital) -> None:
    """One server for all of it, in the order of an afternoon: then its journal and its log are looked at."""
    good = signed(body=hospital.claims())
    answer = hospital.call(good)
    assert answer.status_code == 200
    assert len(decode_response(answer.content).cards) == 1
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    assert "server" not in answer.headers

    now = int(time.time())
    wrong = {
        "no token": None,
        "used before": good,
        "expired": signed(body=hospital.claims(iat=now - 120, exp=now - 60)),
        "other audience": signed(body=hospital.claims(aud=f"{hospital.url}{CALL}/feedback")),
        "issuer or tenant not registered": signed(body=hospital.claims(iss="https://CANARY.example/")),
        "wrong signature": signed(body=hospital.claims(), key=ec_key("somebody-else")),
        "not a JWT": _none(hospital.claims()),
        "algorithm not allowed": _hs256(hospital.claims()),
    }
    assert {reason: hospital.call(token).status_code for reason, token in wrong.items()} == dict.fromkeys(wrong, 401)
    elsewhere = hospital.call(signed(body=hospital.claims("/cds-services/aki")), path="/cds-services/aki")
    assert elsewhere.status_code == 403
    discovery = hospital.send(signed(body=hospital.claims("/cds-services")), method="GET", path="/cds-services").json()
    assert [service["id"] for service in discovery["services"]] == ["sepsis"]

    # A token that one worker has seen is known to the other.
    first, second = hospital.server.workers()
    token = signed(body=hospital.claims())
    with hospital.answered_by(first):
        assert hospital.call(token).status_code == 200
    with hospital.answered_by(second):
        assert hospital.call(token).status_code == 401
        assert hospital.call(signed(body=hospital.claims())).status_code == 200

    assert hospital.server.stop() == 0
    log = hospital.server.log.read_text(encoding="utf-8")
    assert [reason for reason in wrong if f"client_refused reason={reason!r}" not in log] == []
    assert "DEVELOPMENT" not in log
    for secret in (good, token, good.split(".")[1], token.rpartition(".")[2], "CANARY"):
        assert secret not in log
    with Journal.open(url(hospital.state / "journal.db")) as journal:
        assert [(call.http_status, call.client) for call in journal.calls()] == [(200, "ward-ehr")] * 3
        refused = journal.refusals()
    assert sum(each.count for each in refused if each.http_status == 401) == len(wrong) + 1
    assert [(each.client, each.count) for each in refused if each.http_status == 403] == [("ward-ehr", 1)]
    kept = b"".join(path.read_bytes() for path in hospital.state.iterdir() if path.is_file())
    assert b"CANARY" not in kept


def test_a_bundle_that_nobody_signed_is_not_served(tmp_path: Path) -> None:
    options = list(bundles_signed(tmp_path))
    (Path(options[-1]) / SIGNATURE).unlink()
    port = free_port()
    command = ("-m", "bedside.cli", "serve", "--port", str(port), "--state", str(tmp_path / "state"), *options)
    with running(tmp_path, *command, port=port) as server:
        eventually(lambda: server.process.poll() is not None, "the end of the server")
        assert server.process.returncode == 1
        assert "bundle: not signed" in server.log.read_text(encoding="utf-8")
