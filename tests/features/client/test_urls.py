"""URLs: what leads to another origin is not followed, and no message shows what could name a patient."""

import pytest

from features.client.errors import OtherOriginError
from features.client.urls import UrlError, base_url, follow, is_private, origin_of, query, shown

BASE = "https://fhir.example/r4"


@pytest.mark.parametrize(
    ("link", "target"),
    [
        pytest.param("https://fhir.example/r4?page=2", "https://fhir.example/r4?page=2", id="absolute"),
        pytest.param("https://FHIR.example:443/x", "https://FHIR.example:443/x", id="the same with its usual port"),
        pytest.param("?page=2", "https://fhir.example/r4/Patient?page=2", id="relative"),
        pytest.param("/other", "https://fhir.example/other", id="another path of the same server"),
    ],
)
def test_links_on_the_server_s_own_origin_are_followed(link: str, target: str) -> None:
    assert follow(link, seen_at=f"{BASE}/Patient", base=BASE) == target


@pytest.mark.parametrize(
    "link",
    [
        pytest.param("https://evil.example/r4?page=2", id="another host"),
        pytest.param("http://fhir.example/r4?page=2", id="no longer https"),
        pytest.param("https://fhir.example:8443/r4", id="another port"),
        pytest.param("//evil.example/r4", id="another host, relative"),
        pytest.param("https://fhir.example@evil.example/r4", id="a host dressed as a user"),
        pytest.param("https://fhir.example.evil.example/", id="a host that begins alike"),
        pytest.param("file:///etc/passwd", id="a file"),
        pytest.param("https://[broken", id="no URL"),
    ],
)
def test_links_that_lead_elsewhere_are_refused(link: str) -> None:
    with pytest.raises((OtherOriginError, ValueError)):
        follow(link, seen_at=f"{BASE}/Patient", base=BASE)


def test_a_link_elsewhere_is_followed_where_it_is_allowed() -> None:
    files = "https://files.example/1.ndjson"
    assert follow(files, seen_at=BASE, base=BASE, others={origin_of(files)}) == files


@pytest.mark.parametrize(
    ("url", "text"),
    [
        pytest.param(f"{BASE}/Observation?patient=4711&code=http://loinc.org|2160-0",
                     f"{BASE}/Observation?patient=…&code=…", id="a search"),
        pytest.param(f"{BASE}/Patient/4711/$everything", f"{BASE}/Patient/…/$everything", id="a patient"),
        pytest.param(f"{BASE}/Patient/$export", f"{BASE}/Patient/$export", id="an operation on all patients"),
        pytest.param("https://[broken", "a URL that cannot be read", id="no URL"),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_what_could_name_a_patient(url: str, text: str) -> None:
    assert shown(url) == text


@pytest.mark.parametrize("url", ["", "fhir.example/r4", "ftp://fhir.example", "https://anna:secret@fhir.example/r4",
                                 "https://fhir.example/r4?tenant=1", "https://fhir.example:port/"])  # fmt: skip
def test_what_is_no_base_url_is_refused_and_no_password_repeated(url: str) -> None:
    with pytest.raises(UrlError) as caught:
        base_url(url)
    assert "secret" not in str(caught.value)


def test_a_base_url_loses_its_last_slash() -> None:
    assert base_url(f"{BASE}/") == BASE


@pytest.mark.parametrize(
    ("url", "private"),
    [("https://fhir.example", True), ("http://localhost:8080", True), ("http://[::1]", True), ("http://fhir", False)],
)
def test_what_nobody_can_read_on_the_way(url: str, private: bool) -> None:  # noqa: FBT001
    assert is_private(url) is private


def test_an_origin_reads_like_a_url() -> None:
    assert [str(origin_of(url)) for url in (f"{BASE}/x", "http://[::1]:8080/")] == [
        "https://fhir.example",
        "http://[::1]:8080",
    ]


def test_a_query_is_escaped_but_for_what_fhir_writes_plainly() -> None:
    assert query(
        [("code", "http://loinc.org|2160-0,http://loinc.org|1 2&x"), ("date", "ge2024-05-01T00:00:00+02:00")]
    ) == ("code=http://loinc.org|2160-0,http://loinc.org|1%202%26x&date=ge2024-05-01T00:00:00%2B02:00")
