"""Concepts written in TOML: the form of a document, drafts, and what a site adds."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from features.vocabulary.code import ATC_WHO, LOINC, SNOMED_CT
from features.vocabulary.concept import (
    SITE_CONCEPTS,
    ConceptError,
    ReferenceRange,
    Words,
    load_vocabulary,
    read_concepts,
)
from features.vocabulary.documents import Document, extend_concepts, read_documents
from features.vocabulary.units import load_converter

DOCUMENT = """
source = "a test"
reviewed = 2026-01-01
[systems]
loinc = "http://loinc.org"
[concepts.creatinine]
kind = "observation"
unit = "mg/dL"
plausible = [0, 50]
reference = { female = [0.5, 0.95], male = [0.65, 1.2] }
codes = [{ system = "loinc", code = "2160-0", display = "Creatinine [Mass/volume] in Serum or Plasma" }]
words.en = { name = "Creatinine", short = "Crea", unit = "mg/dL" }
words.de = { name = "Kreatinin", short = "Krea", unit = "mg/dl" }
"""


def test_a_document_becomes_concepts() -> None:
    (creatinine,) = read_concepts(DOCUMENT, "laboratory.toml")
    assert creatinine.plausible == (0.0, 50.0)
    assert creatinine.reference == ReferenceRange(female=(0.5, 0.95), male=(0.65, 1.2))
    assert creatinine.words["de"] == Words(name="Kreatinin", short="Krea", unit="mg/dl")
    assert creatinine.codes[0].system == LOINC
    assert creatinine.reviewed == date(2026, 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param("2160-0", "2160-1", r"laboratory.toml: Concept 'creatinine'.*2160-1", id="wrong check digit"),
        pytest.param('system = "loinc"', 'system = "lonic"', "laboratory.toml.*lonic", id="unknown short name"),
        pytest.param('source = "a test"', "", "laboratory.toml.*source", id="no source"),
        pytest.param("decimals", "decimal", "laboratory.toml", id="misspelt key"),
        pytest.param("[0, 50]", "[0]", "laboratory.toml", id="half a range"),
        pytest.param("[0, 50]", "[0, 50", "laboratory.toml", id="not TOML"),
    ],
)
def test_a_faulty_document_says_where(old: str, new: str, complaint: str) -> None:
    document = DOCUMENT.replace("plausible", "decimals = 2\nplausible")
    with pytest.raises(ConceptError, match=complaint):
        read_concepts(document.replace(old, new), "laboratory.toml")


CODED = """
source = "a test"
reviewed = 2026-01-01
[systems]
loinc = "http://loinc.org"
snomed = "http://snomed.info/sct"
atc = "http://www.whocc.no/atc"
boolean = "boolean"
[concepts.nitrite]
kind = "observation"
codes = [{ system = "loinc", code = "5802-4", display = "Nitrite [Presence] in Urine", method = { system = "snomed", code = "117021008" }, specimen = { system = "snomed", code = "122575003" } }]
answers = [
  { system = "boolean", code = "true", display = "present", value = 1 },
  { system = "snomed", code = "260385009", display = "Negative", value = 0 },
]
words.en = { name = "Nitrite", short = "Nit" }
words.de = { name = "Nitrit", short = "Nit" }
[concepts.nsaid_draft]
drafts_of = "nsaid"
words.en = { name = "NSAID, being ordered", short = "NSAID" }
words.de = { name = "NSAR in der Verordnung", short = "NSAR" }
"""  # noqa: E501 - a table of codes
DRUGS = """
source = "another test"
reviewed = 2026-02-02
[systems]
atc = "http://www.whocc.no/atc"
[concepts.nsaid]
kind = "medication"
codes = [{ system = "atc", code = "M01A", display = "Antirheumatic products", subtree = true }]
words.en = { name = "NSAID", short = "NSAID" }
words.de = { name = "NSAR", short = "NSAR" }
"""


def test_a_document_tells_answers_methods_and_specimens_by_short_names_of_systems() -> None:
    nitrite = read_documents([Document("coded.toml", CODED), Document("drugs.toml", DRUGS)])[0]
    assert nitrite.unit is None
    assert nitrite.codes[0].method == (SNOMED_CT, "117021008")
    assert nitrite.codes[0].specimen == (SNOMED_CT, "122575003")
    assert [(one.system, one.code, one.value) for one in nitrite.answers] == [
        ("boolean", "true", 1.0),
        (SNOMED_CT, "260385009", 0.0),
    ]


def test_drafts_have_the_codes_of_a_concept_that_may_stand_in_a_later_document() -> None:
    concepts = read_documents([Document("coded.toml", CODED), Document("drugs.toml", DRUGS)])
    assert [concept.id for concept in concepts] == ["nitrite", "nsaid_draft", "nsaid"]
    _, drafts, ordered = concepts
    assert (drafts.kind, drafts.codes, drafts.drafts_of) == ("medication", ordered.codes, "nsaid")
    assert (drafts.source, ordered.source) == ("a test", "another test")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param('drafts_of = "nsaid"', 'drafts_of = "nsiad"', "coded.toml.*nsiad", id="drafts of nothing"),
        pytest.param('drafts_of = "nsaid"', 'drafts_of = "nsaid"\ncodes = []', "leave it out", id="own codes"),
        pytest.param('code = "260385009"', 'code = "260385008"', "coded.toml.*260385008", id="an answer's check digit"),
        pytest.param('system = "boolean"', 'system = "bool"', "coded.toml.*nitrite.*'bool'", id="an unknown system"),
        pytest.param("[systems]", "[code]\n[systems]", "not 'code'", id="an unknown table"),
    ],
)
def test_a_faulty_answer_or_draft_says_where(old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConceptError, match=complaint):
        read_documents([Document("coded.toml", CODED.replace(old, new, 1)), Document("drugs.toml", DRUGS)])


SITE = """
source = "laboratory of a hospital"
reviewed = 2026-03-03
[systems]
lab = "https://hospital.example/lab"
loinc = "http://loinc.org"
[codes]
creatinine = [
  { system = "lab", code = "KREA", display = "Kreatinin i.S." },
  { system = "loinc", code = "39982-4", display = "Creatinine [Mass/volume] in Serum or Plasma --baseline" },
]
[concepts.cystatin_c]
kind = "observation"
unit = "mg/L"
plausible = [0.1, 20]
codes = [{ system = "lab", code = "CYSC", display = "Cystatin C" }]
words.en = { name = "Cystatin C", short = "CysC", unit = "mg/L" }
words.de = { name = "Cystatin C", short = "CysC", unit = "mg/l" }
[concepts.nsaid_draft]
drafts_of = "nephrotoxic_nsaid"
words.en = { name = "NSAID, being ordered", short = "NSAID" }
words.de = { name = "NSAR in der Verordnung", short = "NSAR" }
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "laboratory.toml").write_text(SITE, encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not read", encoding="utf-8")
    return tmp_path


def test_a_site_adds_codes_and_concepts_and_changes_nothing_else(site: Path) -> None:
    packaged, extended = load_vocabulary(), load_vocabulary(site)
    assert [concept.id for concept in extended] == [*(one.id for one in packaged), "cystatin_c", "nsaid_draft"]
    assert [one.id for one in extended if one not in set(packaged)] == ["creatinine", "cystatin_c", "nsaid_draft"]
    assert extended.concept("creatinine").codes[: len(packaged.concept("creatinine").codes)] == (
        packaged.concept("creatinine").codes
    )
    assert [one.id for one in extended.lookup("https://hospital.example/lab", "KREA")] == ["creatinine"]
    assert packaged.lookup("https://hospital.example/lab", "KREA") == ()
    assert [one.id for one in extended.lookup(ATC_WHO, "M01AE01")] == [
        *("nephrotoxic_nsaid", "nephrotoxic_nsaid_draft", "nsaid_draft")
    ]


def test_a_sites_concept_is_converted_like_any_other(site: Path) -> None:
    converter = load_converter(site)
    cystatin = converter.vocabulary.concept("cystatin_c")
    assert converter.convert(0.9, concept=cystatin, unit="mg/l") == 0.9


def test_drafts_follow_the_codes_that_a_site_adds() -> None:
    concepts = read_documents([Document("coded.toml", CODED), Document("drugs.toml", DRUGS)])
    added = """
    source = "a pharmacy"
    reviewed = 2026-03-03
    systems = { house = "https://hospital.example/drugs" }
    codes.nsaid = [{ system = "house", code = "IBU600", display = "Ibuprofen 600" }]
    """
    extended = {one.id: one for one in extend_concepts(concepts, [Document("pharmacy.toml", added)])}
    assert extended["nsaid_draft"].codes == extended["nsaid"].codes
    assert extended["nsaid"].codes[-1].code == "IBU600"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        pytest.param("creatinine = [", "creatinin = [", "no concept 'creatinin' is packaged", id="an unknown concept"),
        pytest.param("concepts.cystatin_c", "concepts.lactate", "'lactate' is packaged", id="a packaged concept again"),
        pytest.param('"39982-4"', '"2160-0"', "2160-0 belongs to creatinine already", id="a code that it has"),
        pytest.param('"39982-4"', '"32693-4"', "32693-4 belongs to lactate already", id="a code of another concept"),
        pytest.param('"39982-4"', '"39982-5"', "laboratory.toml.*creatinine.*39982-5", id="wrong check digit"),
        pytest.param('lab = "https', 'lap = "https', "laboratory.toml.*'lab'", id="an unknown short name"),
        pytest.param('source = "laboratory of a hospital"', "", "laboratory.toml.*'source'", id="no source"),
        pytest.param('display = "Kreatinin i.S."', 'display = ""', "laboratory.toml.*display", id="no display"),
    ],
)
def test_what_a_site_may_not_add_is_refused(site: Path, old: str, new: str, complaint: str) -> None:
    (site / "laboratory.toml").write_text(SITE.replace(old, new), encoding="utf-8")
    with pytest.raises(ConceptError, match=complaint):
        load_vocabulary(site)


def test_a_site_cannot_add_codes_to_drafts_nor_a_package_codes_to_others() -> None:
    concepts = read_documents([Document("coded.toml", CODED), Document("drugs.toml", DRUGS)])
    added = """
    source = "a pharmacy"
    reviewed = 2026-03-03
    systems = { house = "https://hospital.example/drugs" }
    codes.nsaid_draft = [{ system = "house", code = "IBU600", display = "Ibuprofen 600" }]
    """
    with pytest.raises(ConceptError, match="add them there"):
        extend_concepts(concepts, [Document("pharmacy.toml", added)])
    with pytest.raises(ConceptError, match="only a site's documents add codes"):
        read_documents([Document("pharmacy.toml", added)])


def test_an_empty_folder_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(ConceptError, match="found none"):
        load_vocabulary(tmp_path)


def test_the_environment_names_a_sites_folder(tmp_path: Path) -> None:
    """One setting reaches the server, the training and all their processes."""
    (tmp_path / "site.toml").write_text(
        'source = "laboratory"\nreviewed = 2026-11-24\n'
        '[systems]\nlab = "https://hospital.example/lab"\n'
        '[codes]\ncreatinine = [{ system = "lab", code = "KREA", display = "Kreatinin im Serum" }]\n'
    )
    asked = (
        "from features.reading.interpreter import load_interpreter;"
        "found = load_interpreter().vocabulary.lookup('https://hospital.example/lab', 'KREA');"
        "print([concept.id for concept in found])"
    )
    for environment, answer in (({SITE_CONCEPTS: str(tmp_path)}, "['creatinine']"), ({SITE_CONCEPTS: ""}, "[]")):
        told = subprocess.run(
            [sys.executable, "-c", asked], env=os.environ | environment, capture_output=True, text=True, check=True
        )
        assert told.stdout.strip() == answer
