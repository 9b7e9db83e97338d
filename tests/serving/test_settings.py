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
        pytest.param({"journal_sync": "off"}, "journal_sync: expected full or normal, got 'off'", id="journal sync"),
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
