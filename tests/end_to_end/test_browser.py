"""What a person sees in a real browser, on a desk and on a phone."""

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from cds_hooks.feedback import ReasonCoding
from tests.serving.pages.sample_host import REASONS, SampleHost, app_of, new_host

CHROMIUM = shutil.which("chromium")
# Nothing but the page: no updates, no sync, no look at the network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
on_desk_and_phone = pytest.mark.parametrize(
    "visit", [pytest.param((1280, 900), id="desk"), pytest.param((390, 844), id="phone")], indirect=True
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: apt-get install chromium"),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running server and what it was told."""

    url: str
    host: SampleHost


@dataclass(slots=True, kw_only=True)
class Visit:
    """A page in the browser; `complaints`: what its console said of errors, warnings and broken policies."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    host = new_host()
    config = uvicorn.Config(app_of(host), log_level="warning", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        # The listener queues connections until the server takes them: there is nothing to wait for.
        yield Site(url=f"http://127.0.0.1:{listener.getsockname()[1]}", host=host)
        server.should_exit = True
        thread.join(timeout=30)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    width, height = getattr(request, "param", (1280, 900))
    context = browser.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(10_000)
    visit = Visit(page=context.new_page())

    def listen(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            visit.complaints.append(message.text)

    visit.page.on("console", listen)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    yield visit
    context.close()


@on_desk_and_phone
def test_a_newcomer_chooses_a_patient_and_sees_request_response_and_card(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    expect(page.get_by_role("heading", name="Sepsis within 12 hours")).to_be_visible()
    expect(page.locator("#discovery-url")).to_have_text(f"{site.url}/cds-services")
    page.get_by_label("Middle risk").check()
    card = page.get_by_role("article")
    expect(card.get_by_role("heading", level=4)).to_have_text(
        "Sepsis risk in the next 12 h: 14 % — 7× the ward average"
    )
    expect(card.get_by_text("Warning", exact=True)).to_be_visible()
    expect(card.get_by_role("cell", name="3.4 mmol/L (1 h ago)")).to_be_attached()
    expect(page.locator("#status")).to_contain_text("HTTP 200 OK")
    expect(page.locator("#response")).to_contain_text('"indicator": "warning"')
    expect(page.get_by_role("textbox", name="Request")).to_have_value(re.compile('"patientId": "middle"'))
    expect(page.locator("#request-size")).to_contain_text("40 × Observation")
    expect(page.locator("#curl-code")).to_contain_text(f"{site.url}/api/samples/sepsis/middle")
    expect(card.get_by_role("heading", level=4)).to_be_in_viewport()
    assert not _scrolls_sideways(page)
    assert page.title() == "Bedside"  # the script in the card's detail did not run
    assert visit.complaints == []


def test_the_language_switch_reaches_the_service_and_the_words_around_the_card(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    page.get_by_label("High risk").check()
    expect(page.get_by_text("Critical", exact=True)).to_be_visible()
    page.get_by_label("Deutsch").check()
    expect(page.get_by_role("article").get_by_role("heading", level=4)).to_contain_text("Sepsisrisiko")
    expect(page.get_by_text("Kritisch", exact=True)).to_be_visible()
    expect(page.locator(".cards")).to_have_attribute("lang", "de")
    assert visit.complaints == []


def test_a_broken_request_shows_the_operation_outcome_and_can_be_restored(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    page.get_by_label("Low risk").check()
    expect(page.get_by_text("Information", exact=True)).to_be_visible()
    request = page.get_by_role("textbox", name="Request")
    request.fill('{"hook": "patient-view"}')
    page.get_by_role("button", name="Send request").click()
    expect(page.locator("#status")).to_contain_text("HTTP 400 Bad Request")
    expect(page.get_by_role("article")).to_contain_text("OperationOutcome: error")
    expect(page.get_by_role("article")).to_contain_text("hookInstance")
    page.get_by_role("button", name="Restore the sample").click()
    expect(request).to_have_value(re.compile('"patientId": "low"'))
    page.get_by_role("button", name="Send request").click()
    expect(page.locator("#status")).to_contain_text("HTTP 200 OK")
    # The browser itself writes a failed request to its console; nothing else may stand there.
    assert [text for text in visit.complaints if "status of 400" not in text] == []


def test_missing_data_is_told_and_no_card_is_not_read_as_low_risk(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    page.get_by_label("Missing data").check()
    expect(page.locator("#status")).to_contain_text("HTTP 412")
    expect(page.get_by_role("article")).to_contain_text("Expected at least one vital sign")
    page.get_by_label("No guidance").check()
    expect(page.locator("#card")).to_contain_text("this does not mean that the risk is low")


def test_an_answer_that_is_no_card_is_shown_as_it_came_and_as_text(visit: Visit, site: Site) -> None:
    page = visit.page
    page.route(
        "**/cds-services/sepsis",
        lambda route: route.fulfill(status=502, content_type="text/html", body="<b>Bad gateway</b>"),
    )
    page.goto(site.url)
    page.get_by_label("High risk").check()
    expect(page.locator("#status")).to_contain_text("HTTP 502")
    expect(page.locator("#response")).to_have_text("<b>Bad gateway</b>")
    expect(page.locator("#card")).to_contain_text("Expected a CDS Hooks response or an OperationOutcome")


def test_a_clinician_overrides_a_card_and_the_service_hears_the_reason(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    page.get_by_label("High risk").check()
    page.get_by_role("button", name="Already known and treated").click()
    expect(page.locator(".feedback-answer")).to_contain_text("HTTP 200 · the service took the feedback: overridden")
    expect(page.get_by_role("button", name="Already known and treated")).to_have_attribute("aria-pressed", "true")
    entry = site.host.feedback_taken[-1]
    assert (entry.card, entry.outcome) == ("6f6f5ae9-59a1-4d5c-9d3a-6f1fa8c2a0b1", "overridden")
    assert entry.override_reason is not None
    assert entry.override_reason.reason == ReasonCoding(code="aware", system=REASONS)
    assert visit.complaints == []


def test_each_choice_of_a_patient_is_a_new_call(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    instances = set()
    for title, word in (("Low risk", "Information"), ("High risk", "Critical"), ("Low risk", "Information")):
        page.get_by_label(title).check()
        expect(page.get_by_text(word, exact=True)).to_be_visible()
        instances.add(
            re.findall('"hookInstance": "(.*)"', page.get_by_role("textbox", name="Request").input_value())[0]
        )
    assert len(instances) == 3


def test_the_keyboard_alone_gets_from_the_top_to_a_card(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    expect(page.get_by_label("Low risk")).to_be_visible()
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.get_by_label("Low risk").evaluate("element => element === document.activeElement"):
            break
    page.keyboard.press("Space")
    expect(page.get_by_text("Information", exact=True)).to_be_visible()


def test_a_service_without_samples_takes_a_request_of_ones_own(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(f"{site.url}/?service=kidney")
    expect(page.get_by_label("Service", exact=True)).to_have_value("kidney")
    expect(page.get_by_text("paste a request of your own")).to_be_visible()
    expect(page.locator("#call-url")).to_have_text("/cds-services/kidney")


@on_desk_and_phone
def test_the_model_facts_page_reads_as_a_page(visit: Visit, site: Site) -> None:
    page = visit.page
    page.goto(site.url)
    page.get_by_role("link", name="Model facts of Sepsis within 12 hours").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sepsis within 12 hours")
    page.get_by_role("navigation", name="Contents").get_by_role("link", name="Intended use").click()
    expect(page.get_by_role("heading", name="Intended use")).to_be_in_viewport()
    expect(page.get_by_role("cell", name="AUROC")).to_be_visible()
    assert not _scrolls_sideways(page)
    page.get_by_role("link", name="Try it with a sample patient").click()
    expect(page.get_by_label("Middle risk")).to_be_visible()
    assert visit.complaints == []


def _scrolls_sideways(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))
