"""`bedside inspect`: what it prints and writes, what it ends with, and how its page looks in a browser."""

import gzip
import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, sync_playwright
from typer.testing import CliRunner

from bedside.cli import app
from bedside.coverage_page import coverage_page
from bedside.html import Html, element, table
from features.coverage.report import Report
from tests.end_to_end.test_browser import ARGUMENTS
from tests.features.client.fake_server import Asked, FakeServer, Reply, fake_server, json
from tests.features.coverage.ward import coverage, everybody, local, ndjson, of
from tests.features.reading.resources import observation, quantity

SHARED = Path(__file__).parents[3] / "shared" / "data" / "fhir"
CHROMIUM = shutil.which("chromium")
HOSTILE = '<script>alert(1)</script> Kreatinin " onmouseover="alert(2)'
run = CliRunner().invoke


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """A folder with the creatinine of six patients, and one that is not mapped."""
    folder = tmp_path / "ward"
    folder.mkdir()
    resources = [*everybody(observation(), 6, each=2), *everybody(local("KREA", HOSTILE), 6)]
    (folder / "Observation.ndjson").write_bytes(ndjson(resources))
    (folder / "notes.txt").write_text("no FHIR", encoding="utf-8")
    return folder


@pytest.fixture
def page(ward: Path, tmp_path: Path) -> Path:
    file = tmp_path / "report.html"
    assert run(app, ["inspect", str(ward), "--out", str(file)]).exit_code == 0
    return file


def test_it_writes_the_report_as_a_page_and_as_json(ward: Path, tmp_path: Path) -> None:
    json_file, page = tmp_path / "report.json", tmp_path / "report.html"
    result = run(app, ["inspect", str(ward), "--out", str(page), "--json", str(json_file)])
    assert result.exit_code == 0, result.output
    assert "18 resources of 6 patients: 1 of " in " ".join(result.output.split())
    report = msgspec.json.decode(json_file.read_bytes(), type=Report)
    assert (report.source, report.fhir_version, report.resources) == ("ward", "R4", 18)
    assert report.ignored_files == ("notes.txt: no FHIR JSON in its first 64 KiB",)
    assert page.read_text(encoding="utf-8") == coverage_page(report)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["report.html", "report.json", "ward"]


def test_a_missing_concept_of_a_model_ends_with_3_and_is_told_first(ward: Path) -> None:
    result = run(app, ["inspect", str(ward), "--model", "sepsis"])
    assert result.exit_code == 3
    assert "Heart rate" in result.output
    assert "not found" in result.output


def test_a_broken_line_ends_with_1_and_is_told_with_its_place(ward: Path) -> None:
    with (ward / "Observation.ndjson").open("a", encoding="utf-8") as file:
        file.write('{"resourceType": "Observation", \n')
    result = run(app, ["inspect", str(ward)])
    assert result.exit_code == 1
    assert "Observation.ndjson line 19" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["nowhere"], "expected a FHIR NDJSON file", id="no such folder"),
        pytest.param([".", "--model", "nothing"], "Expected one of the models", id="no such model"),
        pytest.param([".", "--fhir-version", "DSTU2"], "Expected FHIR R4", id="no such version"),
        pytest.param([".", "--client-id", "me"], "need both", id="half a client"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(app, ["inspect", *arguments])
    assert result.exit_code == 1
    assert said in " ".join(result.output.split())


# A server


def _searchset(*resources: object) -> Reply:
    return json({"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": one} for one in resources]})


def _creatinine(asked: Asked) -> Reply:
    (patient,) = asked.query["patient"]
    return _searchset(of(patient, observation(valueQuantity=quantity(1.0, "mg/dL"))))


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server with seven patients who have a creatinine each."""
    with fake_server() as fake:
        fake.on("/fhir/metadata", json({"resourceType": "CapabilityStatement", "fhirVersion": "4.3.0"}))
        fake.on("/fhir/Patient", _searchset(*({"resourceType": "Patient", "id": f"p{n}"} for n in range(7))))
        for name in ("DiagnosticReport", "Condition", "MedicationRequest", "MedicationAdministration"):
            fake.on(f"/fhir/{name}", _searchset())
        fake.on("/fhir/MedicationStatement", _searchset())
        fake.on("/fhir/Observation", _creatinine)
        yield fake


@pytest.mark.parametrize(("patients", "expected"), [("6", 6), ("0", 7)], ids=["six", "all"])
def test_a_server_is_asked_for_the_records_of_some_patients(
    server: FakeServer, tmp_path: Path, patients: str, expected: int
) -> None:
    token, file = tmp_path / "token", tmp_path / "report.json"
    token.write_text("secret\n", encoding="ascii")
    arguments = ["--model", "aki", "--patients", patients, "--token-file", str(token), "--json", str(file)]
    result = run(app, ["inspect", server.base, *arguments])
    assert result.exit_code == 3, result.output
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    assert (report.fhir_version, report.patients) == ("R4B", expected)
    assert {one.id: one.patients for one in report.concepts}["creatinine"] == expected
    assert {one.headers["authorization"] for one in server.asked} == {"Bearer secret"}
    assert "secret" not in file.read_text(encoding="utf-8") + result.output


def test_a_token_file_that_holds_none_is_said_without_what_it_holds(server: FakeServer, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("two words", encoding="ascii")
    result = run(app, ["inspect", server.base, "--token-file", str(token)])
    assert result.exit_code == 1
    assert "expected one access token" in " ".join(result.output.split())
    assert "two words" not in result.output


# The page


def test_text_from_records_cannot_become_markup() -> None:
    assert element("p", "<b>&") == "<p>&lt;b&gt;&amp;</p>"
    assert element("p", Html("<b>")) == "<p><b></p>"
    assert element("p", title='" x="') == '<p title="&quot; x=&quot;"></p>'
    assert table(["A"], [["<b>"]]) == (
        '<table><thead><tr><th scope="col">A</th></tr></thead>'
        '<tbody><tr><td data-head="A">&lt;b&gt;</td></tr></tbody></table>'
    )


def test_the_page_needs_nothing_from_elsewhere_and_no_script(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in text
    assert "default-src 'none'" in text
    assert re.findall(r'(?:src|action)="', text) == []
    assert {link[0] for link in re.findall(r'href="([^"]*)"', text)} == {"#"}
    assert re.findall(r' (?:on\w+|style)="', text) == []


def test_every_link_leads_to_a_concept_that_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r'href="#([^"]*)"', text)) <= set(re.findall(r' id="([^"]*)"', text))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: apt-get install chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_the_page_fits_and_a_link_opens_its_concept(browser: Browser, page: Path, width: int, scheme: str) -> None:
    """Nothing is cut off at the side, folded parts open for links, and the page's own policy is kept."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if scheme == "dark" else "light"
    )
    visit, complaints = context.new_page(), list[str]()
    visit.on("console", lambda message: complaints.append(message.text))
    visit.goto(page.as_uri())
    visit.locator("a[href='#creatinine']").first.click()
    assert visit.locator("details:has(#creatinine)").get_attribute("open") is not None
    assert visit.locator("svg.plot").first.is_visible()
    for one in visit.locator("details").all():
        one.evaluate("one => { one.open = true }")
    assert visit.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    assert complaints == []
    context.close()


@pytest.mark.parametrize("source", ["mii_kds", "synthea"])
def test_real_records_are_told_without_an_id_of_theirs(source: str, tmp_path: Path) -> None:
    """No id of a Patient or of a resource about one stands in the report or on the page, not even in an exact one."""
    if not (SHARED / source).is_dir():
        pytest.skip("needs the shared open data")
    files = {"--out": tmp_path / "report.html", "--json": tmp_path / "report.json"}
    written = [text for option, file in files.items() for text in (option, str(file))]
    assert run(app, ["inspect", str(SHARED / source), "--exact", *written]).exit_code == 0
    told = "".join(file.read_text(encoding="utf-8") for file in files.values())
    for name in ("Patient", "Observation", "Condition"):
        lines = gzip.decompress((SHARED / source / f"{name}.ndjson.gz").read_bytes()).splitlines()
        ids = [msgspec.json.decode(line)["id"] for line in lines]
        assert [one for one in ids if one in told] == []
        assert ids


def test_a_ward_without_findings_says_so() -> None:
    report = coverage(everybody(observation(), 6))
    text = coverage_page(msgspec.structs.replace(report, findings=()))
    assert "every concept was found" in text
    assert report.made_on == date(2026, 11, 24).isoformat()
