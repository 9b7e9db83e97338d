"""Settings: what cannot be used is refused when read, and said."""

from pathlib import Path
from typing import Any

import pytest

from serving.settings import Settings, SettingsError

STATE = Path("state")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        *(
            pytest.param({"public_url": url}, "public_url: expected http", id=f"URL {url!r}")
            for url in (
                "",
                "bedside.example",
                "ftp://bedside.example",
                "https://",
                "https://bedside.example/",
                "https://bedside.example?x=1",
                "https://bedside.example#x",
                "https://bedside.example/a b",
                "https://bedside.example\n",
                "https://[::1",
            )
        ),
        pytest.param({"language": "fr"}, r"language: expected one of \('en', 'de'\), got 'fr'", id="language"),
        pytest.param(
            {"as_of": "latest"}, r"as_of: expected one of \('clock', 'latest-observation'\), got 'latest'", id="as of"
        ),
        *(
            pytest.param({"zone_name": zone}, "zone_name: expected a time zone such as", id=f"zone {zone!r}")
            for zone in ("", "Berlin", "Europe", "../zone", "/etc/passwd", "Europe/Berlin\0")
        ),
        pytest.param(
            {"fhir_version": "R3"}, r"fhir_version: expected one of \('R4', 'R4B', 'R5'\), got 'R3'", id="FHIR"
        ),
        *(
            pytest.param({"deadline_ms": value}, "deadline_ms: expected a number above 0", id=f"deadline {value}")
            for value in (0.0, -1.0, float("nan"), float("inf"))
        ),
        pytest.param(
            {"journal_sync": "off"}, r"journal_sync: expected one of \('full', 'normal'\), got 'off'", id="journal sync"
        ),
        pytest.param(
            {"environment": "test"},
            r"environment: expected one of \('development', 'production'\), got 'test'",
            id="environment",
        ),
        pytest.param(
            {"further_urls": ("https://bedside.example", "bedside.example")},
            "public_url: expected .*got 'bedside.example'",
            id="a further URL that is none",
        ),
        pytest.param(
            {"tls_certificate": Path("c.pem")}, "tls_certificate, tls_key: expected both or neither", id="no key"
        ),
        pytest.param({"tls_key": Path("k.pem")}, "tls_certificate, tls_key: expected both or neither", id="no chain"),
        pytest.param(
            {"clients": Path("clients.toml"), "cors_origins": ("https://ehr.example",)},
            "cors_origins: expected none beside client registrations",
            id="origins in two places",
        ),
        pytest.param({"body_limit_bytes": 0}, "body_limit_bytes: expected 1 or more, got 0", id="nothing is taken"),
        pytest.param({"cors_origins": ("ehr.example",)}, "cors_origins: .*'ehr.example'", id="origin without scheme"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(state=STATE, **changes)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8000", "https://bedside.example", "https://ehr.example/bedside", "http://[::1]:80"]
)
def test_a_base_url_with_port_or_path_is_taken(url: str) -> None:
    assert Settings(state=STATE, public_url=url).public_url == url


def test_the_journal_lies_in_the_state_folder_unless_it_is_set(tmp_path: Path) -> None:
    assert Settings(state=tmp_path).journal == f"sqlite:///{tmp_path.resolve() / 'journal.db'}"
    assert Settings(state=tmp_path, journal_url="postgresql://db/bedside").journal == "postgresql://db/bedside"


def test_the_zone_is_the_named_one() -> None:
    assert Settings(state=STATE, zone_name="Europe/Berlin").zone.key == "Europe/Berlin"


def production(**changes: Any) -> Settings:
    """The least that production asks for, with changes."""
    least: dict[str, Any] = {
        "state": STATE,
        "environment": "production",
        "public_url": "https://cds.hospital.example",
        "clients": Path("clients.toml"),
        "behind_proxy": True,
        "bundle_key": Path("bundles.pub"),
    }
    return Settings(**(least | changes))


def test_production_starts_with_clients_tls_signed_bundles_and_without_sample_patients() -> None:
    assert not production().shows_samples
    by_itself = production(behind_proxy=False, tls_certificate=Path("c.pem"), tls_key=Path("k.pem"))
    assert by_itself.tls_key == Path("k.pem")
    assert production(further_urls=("https://cds.internal.example",)).urls == (
        "https://cds.hospital.example",
        "https://cds.internal.example",
    )


def test_development_has_sample_patients_unless_told_otherwise() -> None:
    assert Settings(state=STATE).shows_samples
    assert not Settings(state=STATE, simulator=False).shows_samples


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"clients": None}, "clients: expected client registrations, got none", id="anyone may call"),
        pytest.param({"behind_proxy": False}, "behind_proxy, tls_certificate: expected TLS, got none", id="no TLS"),
        pytest.param(
            {"public_url": "http://cds.hospital.example"}, "public_url: expected the https URL", id="URL without TLS"
        ),
        pytest.param(
            {"further_urls": ("http://10.0.0.1:8000",)}, "expected the https URL .*got 'http://10", id="a further one"
        ),
        pytest.param({"bundle_key": None}, "bundle_key: expected the key", id="unsigned bundles"),
        pytest.param(
            {"clients": None, "cors_origins": ("*",)}, r"cors_origins: expected the origins .*got \*", id="any page"
        ),
        pytest.param({"simulator": True}, "simulator: expected it off, got it on", id="invented patients"),
        pytest.param(
            {"as_of": "latest-observation"}, "as_of: expected clock, got 'latest-observation'", id="old data as new"
        ),
    ],
)
def test_production_does_not_start_with_what_is_for_development(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        production(**changes)


def test_production_says_at_once_all_that_is_amiss() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings(state=STATE, environment="production")
    first, *faults = str(raised.value).splitlines()
    assert first == "environment: production does not start with these settings:"
    assert [fault.partition(":")[0] for fault in faults] == [
        "- clients",
        "- behind_proxy, tls_certificate",
        "- public_url",
        "- bundle_key",
    ]
