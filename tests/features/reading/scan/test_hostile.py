"""Searchsets that nobody sends by chance: read as Python reads them, or left to it; and in time."""

import json
from collections.abc import Iterator
from itertools import count

import pytest

from features.reading.reader import Reader
from features.reading.scan.searchset import ROOM, Searchset, scan, scan_within
from tests.features.reading.clinic import interpreter
from tests.features.reading.resources import PATIENT, observation
from tests.features.reading.scan.both_ways import bundle, by_python, compiled, needs_scan, scanned

pytestmark = needs_scan

USUAL = json.dumps(observation(id="usual")).encode()
TYPE = b'"resourceType": "Observation"'
HALVES = (
    r"\ud83d",
    r"\ude00",
    r"\ude00\ud83d",
    r"\ud83dx",
    r"\ud83d\n",
    r"\ud83d\u0041",
    r"\ud83d\ud83d",
    r"\ud8",
    r"\ud83d\u",
)


def beside_a_usual_one(*resources: bytes) -> list[bytes]:
    entries = b",".join(b'{"resource":%b}' % one for one in (USUAL, *resources))
    return [b'{"resourceType":"Bundle","type":"searchset","entry":[%b]}' % entries]


@pytest.mark.parametrize("text", [r"\ud83d\ude00", r"\uD83D\uDE00 \u00e4\u0000", *HALVES])
@pytest.mark.parametrize("name", ["note", "id", "status", "code", "subject", "resourceType"])
def test_escapes_that_are_half_a_character(name: str, text: str) -> None:
    """Half a surrogate pair, anywhere, makes a searchset what it is for Python: no JSON."""
    raws = beside_a_usual_one(USUAL[:-1] + f',"{name}":"{text}"}}'.encode())
    assert compiled(raws) == by_python(raws)
    if text in HALVES:
        assert scan(raws[0]) is None


@pytest.mark.parametrize("last", [rb'"B\u0075ndle"', b'"Bundle"', b'"Observation"', b"null", None])
@pytest.mark.parametrize("first", [rb'"B\u0075ndle"', b'"Bundle"', b'"Observation"', b'"Patient"', b"null"])
def test_a_bundle_in_disguise(first: bytes, last: bytes | None) -> None:
    """A Bundle within, whose type is written with escapes or beside another, is opened or refused alike."""
    inner = USUAL.replace(b"usual", b"inner")
    body = b'"x":"Bundle","entry":[{"resource":%b}],%b' % (inner, USUAL.replace(TYPE + b", ", b"")[1:-1])
    again = b"" if last is None else b',"resourceType":%b' % last
    raws = beside_a_usual_one(b'{"resourceType":%b,%b%b}' % (first, body, again))
    assert compiled(raws) == by_python(raws)


@pytest.mark.parametrize("depth", [62, 63, 64, 65, 66, 200])
@pytest.mark.parametrize("name", ["note", "code", "subject", "meta", "link"])
def test_how_deep_it_nests(name: str, depth: int) -> None:
    """What nests deeper than scan.c goes is left, not cut off."""
    raws = beside_a_usual_one(USUAL[:-1] + b',"%b":%b1%b}' % (name.encode(), b"[" * depth, b"]" * depth))
    assert compiled(raws) == by_python(raws)


def test_another_patients_result_leaves_the_rest_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain Observation that must be read singly does not have all of them read again."""
    of_another = observation(id="x") | {"subject": {"reference": "Patient/otto"}}
    raws = [bundle(*(observation(id=f"o{i}") for i in range(3)), of_another)]
    assert compiled(raws) == by_python(raws)
    monkeypatch.setattr("features.reading.reader.decode_searchset", None)
    reader = Reader(interpreter(), patient=PATIENT)
    reader.read_searchsets(raws)
    assert len(reader.record().events) == 3


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)])
def test_versions_that_are_read_differently(order: tuple[int, ...]) -> None:
    """Of versions of one result the last one holds, whether it is plain, plain but unclear, or anything else."""
    plain = observation(id="o", valueQuantity={"value": 1.0, "unit": "mg/dL"})
    unclear = plain | {"code": {"coding": [{"system": "http://loinc.org", "code": 5}]}}
    other = plain | {"valueQuantity": {"value": 2.0, "unit": "mg/dL"}, "component": []}
    versions = [(plain, unclear, other)[number] for number in order]
    for raws in ([bundle(*versions)], [bundle(one) for one in versions]):
        assert compiled(raws) == by_python(raws)
        assert compiled(raws, only=None) == by_python(raws, only=None)


def test_long_words_take_more_room() -> None:
    """What is said in words may take more room than is kept for it at first."""
    said = "x" * 500
    found = scanned(*(observation(id=f"o{i}") | {"code": {"text": f"{said}{i}"}} for i in range(ROOM // 500 + 1)))
    assert len(found) == len(found.wordings) == ROOM // 500 + 1
    assert not found.others


def test_words_that_were_made_to_be_looked_for_in_one_place() -> None:
    """Forms that collide in the table are told apart as far as that is quick; the others are read singly."""
    resources = [
        observation(id=f"o{i}") | {"status": status} for i, status in zip(range(400), colliding(), strict=False)
    ]
    found = scanned(*resources)
    assert 0 < len(found.staters) < 100
    assert len(found) + len(found.others) == 400
    raws = [bundle(*resources)]
    assert compiled(raws) == by_python(raws)


def test_a_page_of_many_is_decoded_alone() -> None:
    """Ids and the like come from a searchset's own part of a request, whatever stands before and behind it."""
    pages = [bundle(*(observation(id=f"{name}{i}") for i in range(2))) for name in ("a", "ü", "b")]
    body = b'{"x":"\xc3\xa4","prefetch":{%b}}' % b",".join(b'"%d":%b' % pair for pair in enumerate(pages))
    found = scan_within(body, "prefetch")
    assert found is not None
    ids = [page.ids(slice(None)) for page in found.values.values() if isinstance(page, Searchset)]
    assert ids == [["a0", "a1"], ["ü0", "ü1"], ["b0", "b1"]]


FACTOR, MASK = 0x9E3779B97F4A7C15, 2**64 - 1


def colliding() -> Iterator[str]:
    """Statuses that scan.c, of the usual subject, looks for in one place of its table."""
    subject = json.dumps(observation()["subject"]).encode()
    begun = mixed(0x243F6A8885A308D3, subject)
    return (word for word in map("{:08d}".format, count()) if mixed(begun, word.encode()) % 2048 == 0)


def mixed(number: int, text: bytes) -> int:
    """As scan.c mixes."""
    whole = len(text) // 8 * 8
    for at in range(0, whole, 8):
        number = (number ^ int.from_bytes(text[at : at + 8], "little")) * FACTOR & MASK
        number ^= number >> 32
    rest = text[whole:]
    part = int.from_bytes(rest, "little") if rest else 1
    number = (number ^ part ^ len(rest) << 60) * FACTOR & MASK
    return number ^ number >> 29
