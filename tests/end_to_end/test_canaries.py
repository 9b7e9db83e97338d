"""Canaries: strings planted as ids, names, values and tokens never turn up in a log, an error answer or the journal.

The journal keeps what a card was made of and what it said, under a pseudonym: numbers and times of the record are in
it. The patient's id, the names, the notes, the user, the token and the encounter are not, nor are free texts.
"""

import asyncio
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from serving.app import ServedEntry, create_app
from serving.assess import ServedModel
from serving.settings import Settings
from tests.conformance.client import Client, cards, failed
from tests.fhir_builders import (
    Json,
    gentamicin,
    kidney_disease,
    observation,
    patient,
    prefetch,
    quantity,
    request,
    searchset,
    vitals,
)
from tests.hosts import PSEUDONYMS, Host, open_host
from tests.serving.journal_examples import write_lock

# Each is what its name says; all begin alike, so that one search finds any of them, cut or whole.
CANARY = "CANARY"
PATIENT, OTHER, FAMILY, NOTE = "CANARY-patient", "CANARY-other", "CANARY-family", "CANARY-note"
TOKEN, USER, ENCOUNTER, UNIT, STATUS = "CANARY-token", "Practitioner/CANARY", "CANARY-stay", "CANARY-unit", "CANARY-st"
# No word can be planted as a number: these occur nowhere else.
CREATININE, HEART_RATE = 7.7391, 117.31


def planted(**changes: Any) -> Json:
    """A call that has a canary wherever a text may stand, ids and tokens among them."""
    measured = (
        observation("creatinine", CREATININE, 1, of=PATIENT, note=[{"text": NOTE}], id="CANARY-id"),
        observation("heart_rate", HEART_RATE, 1, of=PATIENT),
        observation("heart_rate", HEART_RATE, 2, of=OTHER),
        observation("creatinine", CREATININE, 3, of=PATIENT, valueQuantity=quantity(CREATININE, UNIT)),
        observation("creatinine", CREATININE, 3, of=PATIENT, status=STATUS),
        observation("creatinine", CREATININE, 3, of=PATIENT, effectiveDateTime="CANARY-time"),
        observation("creatinine", CREATININE, 3, of=PATIENT, valueQuantity={"value": "CANARY-value"}),
        {"resourceType": "CANARY", "id": "CANARY"},
    )
    return request(
        **{
            "context": {"userId": USER, "patientId": PATIENT, "encounterId": ENCOUNTER},
            "fhirServer": "https://canary.example/CANARY",
            "fhirAuthorization": {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 300, "scope": "CANARY"},
            "prefetch": prefetch(
                patient=patient(PATIENT, name=[{"family": FAMILY}], identifier=[{"value": "CANARY-mrn"}]),
                observations=searchset(*vitals(of=PATIENT), *measured),
                conditions=searchset(kidney_disease(of=PATIENT, code={"text": NOTE})),
                medication_requests=searchset(gentamicin(of=PATIENT, note=[{"text": NOTE}])),
            ),
            "extension": {"com.example": {"note": NOTE}},
        }
        | changes
    )


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Every logger there is, at its most talkative."""
    uvicorn.Config("nothing:app", log_config=None)
    names = (
        "",
        "bedside.services",
        "cds_hooks",
        "uvicorn.error",
        "sqlalchemy",
        "sqlalchemy.engine",
        "alembic",
        "asyncio",
    )
    for name in names:
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def all_of(caplog: pytest.LogCaptureFixture) -> str:
    """All that any handler could write: messages, fields and tracebacks."""
    formatter = logging.Formatter()
    return "\n".join(f"{formatter.format(record)} {vars(record)!r}" for record in caplog.records)


def has_canary(text: str) -> bool:
    return any(word in text for word in (CANARY, CANARY.lower() + ".", str(CREATININE), str(HEART_RATE)))


def journal_bytes(folder: Path) -> bytes:
    """The journal as it lies on the disk, its log included."""
    return b"".join(path.read_bytes() for path in folder.glob("journal.db*"))


def test_a_card_leaves_no_canary_in_log_or_journal(
    everything_logged: pytest.LogCaptureFixture, linear: ServedModel, tmp_path: Path
) -> None:
    with open_host(tmp_path, linear) as host:
        response = host.call(planted())
    logged = all_of(everything_logged)
    (card,) = cards(response).cards
    assert CANARY.encode() not in response.content
    assert "7.74 mg/dL" in str(card.detail)  # what is shown to the clinician is a value, rounded
    assert "entry of another patient" in str(card.detail)
    assert "bedside.services" in {record.name for record in everything_logged.records}
    assert not has_canary(logged)
    assert CANARY.encode() not in journal_bytes(tmp_path)
    assert PSEUDONYMS.of(PATIENT).encode() in journal_bytes(tmp_path)


BAD = [
    pytest.param(planted(prefetch=None), 412, id="nothing prefetched"),
    pytest.param(planted(prefetch=prefetch(patient=patient(OTHER))), 400, id="another patient"),
    pytest.param(
        planted(prefetch=prefetch(patient={"resourceType": "Patient", "id": [NOTE]})), 400, id="a broken Patient"
    ),
    pytest.param(
        planted(prefetch=prefetch(patient=patient(PATIENT), conditions=searchset(next_url="https://CANARY.example"))),
        412,
        id="a page too few",
    ),
    pytest.param(planted(hook="CANARY-hook"), 400, id="an unknown hook"),
    pytest.param(planted(hookInstance=NOTE), 400, id="no UUID"),
    pytest.param(planted(context={"userId": USER, "patientId": [PATIENT]}), 400, id="a list as the patient's id"),
    pytest.param(planted(context={"userId": [USER], "patientId": PATIENT}), 400, id="a list as the user"),
    pytest.param(planted(fhirServer="CANARY"), 400, id="a FHIR server that is none"),
    pytest.param(
        planted(fhirAuthorization={"access_token": "CANARY token", "token_type": "Bearer"}), 400, id="a broken token"
    ),
    pytest.param(planted(prefetch=NOTE), 400, id="a text as prefetch"),
    pytest.param(b'{"hook": "CANARY', 400, id="cut short"),
    pytest.param(b'{"hook": "CANARY\xff"}', 400, id="not UTF-8"),
    pytest.param(b'{"hook": "CANARY\\ud800 and more"}', 400, id="half a surrogate pair"),
    pytest.param(b'"CANARY"', 400, id="a text as the body"),
]


@pytest.mark.parametrize(("body", "status"), BAD)
def test_an_error_repeats_nothing_of_what_was_sent(
    body: Any, status: int, everything_logged: pytest.LogCaptureFixture, host: Host
) -> None:
    response = host.call(body)
    failed(response, status)
    assert not has_canary(response.text)
    assert not has_canary(all_of(everything_logged))
    host.journal.close()
    assert CANARY.encode() not in journal_bytes(host.folder)


def test_a_fault_of_ours_tells_nobody_what_it_met(
    everything_logged: pytest.LogCaptureFixture, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The text of a foreign exception may quote a value: it reaches neither the client nor the log."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"could not convert {PATIENT} {CREATININE}")

    monkeypatch.setattr("serving.services.render", fail)
    response = host.call(planted())
    failed(response, 500)
    assert "service_failed" in all_of(everything_logged)
    assert not has_canary(response.text)
    assert not has_canary(all_of(everything_logged))
    host.journal.close()
    assert CANARY.encode() not in journal_bytes(host.folder)


# What an answer could only have from the inside of the server: a path, a stack, an object, a library with its version.
INNARDS = re.compile(
    r"Traceback|\.py\b|site-packages|/(?:usr|home|root|var|opt)/|, line \d|object at 0x|"
    r"\b(?:c?python|uvicorn|httptools|uvloop|starlette|fastapi|msgspec|numpy|onnxruntime|sqlalchemy|sqlite)\b",
    re.IGNORECASE,
)
ELSEWHERE = [
    pytest.param("GET", "/CANARY", None, id="no such page"),
    pytest.param("GET", "/models/CANARY", None, id="no such model"),
    pytest.param("GET", "/models/%3Cscript%3ECANARY", None, id="a model with markup in its name"),
    pytest.param("GET", "/static/CANARY.js", None, id="no such file"),
    pytest.param("GET", "/static/%2e%2e/%2e%2e/settings.py", None, id="a file outside"),
    pytest.param("GET", "/static/..%2f..%2fCANARY", None, id="a path outside"),
    pytest.param("GET", "/cds-services/tiny", None, id="a call by GET"),
    pytest.param("PUT", "/cds-services/tiny", planted(), id="a call by PUT"),
    pytest.param("DELETE", "/cds-services", None, id="discovery to be deleted"),
    pytest.param("POST", "/cds-services/CANARY", planted(), id="no such service"),
    pytest.param("POST", "/cds-services/tiny%0aCANARY", planted(), id="a service with a line feed"),
    pytest.param("POST", "/cds-services/CANARY/feedback", {"feedback": []}, id="feedback to no such service"),
    pytest.param("POST", "/cds-services/tiny/feedback", {"feedback": [{"card": "CANARY"}]}, id="half a feedback"),
    pytest.param("POST", "/cds-services/tiny", b"CANARY" * 2_000_000, id="a body above the limit"),
]


def innards(response: httpx.Response, folder: Path) -> list[str]:
    """What an answer tells of the server, in its body or its headers."""
    said = response.text + "".join(f"\n{name}: {value}" for name, value in response.headers.items())
    own = [path for path in (str(folder), str(Path(__file__).parents[2])) if path in said]
    named = {"server", "x-powered-by", "x-aspnet-version", "via"} & {name.lower() for name in response.headers}
    return [*INNARDS.findall(said), *own, *named]


@pytest.fixture
def whole_server(linear: ServedModel, tmp_path: Path) -> Iterator[Client]:
    """The application with its pages, as it is served."""
    models = {"tiny": ServedEntry(linear, tmp_path / "no examples")}
    application = create_app(Settings(state=tmp_path / "state", as_of="latest-observation"), models=models)
    ends = asyncio.Runner()
    lifespan = application.router.lifespan_context(application)
    with ends:
        ends.run(lifespan.__aenter__())
        yield Client(application)
        ends.run(lifespan.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [*ELSEWHERE, *(pytest.param("POST", "/cds-services/tiny", it.values[0], id=it.id) for it in BAD)],
)
def test_no_answer_tells_a_path_a_stack_or_a_version(
    method: str, path: str, body: Any, whole_server: Client, tmp_path: Path
) -> None:
    response = whole_server.send(method, path, body)
    assert 400 <= response.status_code < 500
    assert innards(response, tmp_path) == []
    assert not has_canary(response.text)


def test_a_fault_of_ours_tells_no_path_and_no_stack(
    whole_server: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(2, "No such file", f"{tmp_path}/state/CANARY.py")

    monkeypatch.setattr("serving.services.render", fail)
    response = whole_server.send("POST", "/cds-services/tiny", planted())
    assert response.status_code == 500
    assert innards(response, tmp_path) == []
    assert not has_canary(response.text)


@pytest.mark.parametrize(
    "text", ['File "a.py", line 3', "onnxruntime 1.32.0", "/usr/lib/x", "<object at 0x7f00>", "Traceback (most recent"]
)
def test_the_search_finds_innards(text: str, tmp_path: Path) -> None:
    assert innards(httpx.Response(500, text=text), tmp_path)
    assert innards(httpx.Response(500, headers={"Server": "any"}), tmp_path)


def test_a_journal_that_fails_does_not_quote_what_it_should_have_kept(
    everything_logged: pytest.LogCaptureFixture, host: Host
) -> None:
    with write_lock(host.folder / "journal.db"):
        response = host.call(planted())
    failed(response, 503)
    assert "journal write failed" in all_of(everything_logged)
    assert not has_canary(response.text)
    assert not has_canary(all_of(everything_logged))


def test_a_comment_stays_in_the_journal_where_it_belongs(
    everything_logged: pytest.LogCaptureFixture, host: Host
) -> None:
    entry = {
        "card": "c",
        "outcome": "overridden",
        "outcomeTimestamp": "2026-03-14T09:40:00Z",
        "overrideReason": {"userComment": NOTE},
    }
    response: httpx.Response = host.client.post("/cds-services/tiny/feedback", {"feedback": [entry]})
    assert response.status_code == 200
    assert not has_canary(all_of(everything_logged))
    (kept,) = host.journal.feedback_for("c")
    assert kept.entry.user_comment == NOTE


def test_the_search_finds_a_canary_that_is_logged(everything_logged: pytest.LogCaptureFixture) -> None:
    logging.getLogger("sqlalchemy.engine").debug("value", extra={"parameters": {"id": PATIENT}})
    assert has_canary(all_of(everything_logged))
