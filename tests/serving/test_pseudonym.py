"""Pseudonyms name a patient by a key, and the key stays with its owner."""

import hashlib
import re
import threading
from pathlib import Path

import pytest

from serving.pseudonym import PseudonymKeyError, Pseudonyms, load_or_create_key

KEY = bytes(range(32))


def test_a_pseudonym_is_the_hmac_sha256_of_the_patient_id() -> None:
    # RFC 4231, section 4.7: test case 6.
    expected = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
    text = "Test Using Larger Than Block-Size Key - Hash Key First"
    assert Pseudonyms(key=b"\xaa" * 131).of(text) == expected


def test_a_pseudonym_is_the_same_after_a_restart_so_that_journals_stay_comparable() -> None:
    assert Pseudonyms(key=KEY).of("patient-1") == "f77ee0773617c9bbf4bac29df7d3cfb468a746ec1b33c15c8209db619a6afdc5"


@pytest.mark.parametrize(
    ("key", "patient_id"),
    [
        pytest.param(KEY, "patient-2", id="another patient"),
        pytest.param(KEY, "Patient-1", id="ids are case-sensitive in FHIR"),
        pytest.param(KEY[::-1], "patient-1", id="another site's key"),
    ],
)
def test_another_patient_or_another_key_gives_another_pseudonym(key: bytes, patient_id: str) -> None:
    assert Pseudonyms(key=key).of(patient_id) != Pseudonyms(key=KEY).of("patient-1")


@pytest.mark.parametrize(
    "patient_id",
    [
        pytest.param("Zoë-42", id="letters beyond ASCII"),
        pytest.param("broken-\ud800", id="a lone surrogate"),
        pytest.param("nul-\x00", id="a NUL"),
        pytest.param("x" * 100_000, id="very long"),
    ],
)
def test_any_text_that_a_client_may_send_gets_a_pseudonym_of_64_hex_digits(patient_id: str) -> None:
    assert re.fullmatch("[0-9a-f]{64}", Pseudonyms(key=KEY).of(patient_id))


def test_a_pseudonym_cannot_be_found_by_hashing_ids_without_the_key() -> None:
    assert Pseudonyms(key=KEY).of("patient-1") != hashlib.sha256(b"patient-1").hexdigest()


def test_an_empty_id_is_refused_since_all_its_patients_would_be_one() -> None:
    with pytest.raises(ValueError, match="needs a patient id"):
        Pseudonyms(key=KEY).of("")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(PseudonymKeyError, match="at least 32 bytes; this one has 31"):
        Pseudonyms(key=KEY[:31])


def test_the_key_does_not_show_in_a_repr() -> None:
    assert repr(Pseudonyms(key=KEY)) == "Pseudonyms()"


def test_the_first_start_makes_a_key_that_only_its_owner_can_read_and_later_starts_read_it(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    key = load_or_create_key(path)
    assert (len(key), path.stat().st_mode & 0o777) == (32, 0o600)
    assert load_or_create_key(path) == key
    assert [file.name for file in tmp_path.iterdir()] == ["pseudonym.key"]


def test_two_sites_get_two_keys(tmp_path: Path) -> None:
    assert load_or_create_key(tmp_path / "a.key") != load_or_create_key(tmp_path / "b.key")


def test_servers_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    barrier = threading.Barrier(8)
    keys: list[bytes] = []

    def start() -> None:
        barrier.wait()
        keys.append(load_or_create_key(path))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(keys), set(keys)) == (8, {path.read_bytes()})


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    load_or_create_key(path)
    path.chmod(0o640)
    with pytest.raises(PseudonymKeyError, match="mode 0640; expected 0600"):
        load_or_create_key(path)


def test_a_truncated_key_file_is_refused_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pseudonym.key"
    path.touch(mode=0o600)
    with pytest.raises(PseudonymKeyError, match="this one has 0"):
        load_or_create_key(path)
    assert path.read_bytes() == b""
