"""The whole server as a newcomer meets it: the released model, its samples and its facts, in a real browser."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

from serving.app import create_app
from serving.settings import Settings
from tests.end_to_end.test_browser import ARGUMENTS, CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(Settings(state=tmp_path_factory.mktemp("state"), public_url=address))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield address
        server.should_exit = True
        thread.join(timeout=30)
    assert not thread.is_alive()


@pytest.mark.parametrize("width", [1280, 390], ids=["desk", "phone"])
def test_a_sample_patient_gets_a_card_whose_link_leads_to_the_models_facts(url: str, width: int) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        context = browser.new_context(viewport={"width": width, "height": 900})
        complaints: list[str] = []  # of any page: broken policies, faults of scripts
        context.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        page = context.new_page()
        page.goto(url)
        page.get_by_label("High risk").check()
        card = page.get_by_role("article")
        expect(card.get_by_role("heading", level=4)).to_contain_text("Sepsis risk in the next 6 h")
        expect(card).to_contain_text("Raised this estimate")
        with page.expect_popup() as opened:
            card.get_by_role("link", name="Model facts: Sepsis").click()
        facts = opened.value
        expect(facts.get_by_role("heading", level=1)).to_contain_text("Sepsis")
        expect(facts.get_by_role("heading", name="Risks and limits")).to_be_visible()
        facts.goto(f"{url}/models/none")
        expect(facts.get_by_role("heading", level=1)).to_have_text("No such model")
        browser.close()
    # The browser itself writes an address that is none to its console; nothing else may stand there.
    assert [text for text in complaints if "status of 404" not in text] == []


def test_the_examples_lie_where_the_readme_says() -> None:
    assert (Path(__file__).parents[2] / "models/sepsis/examples/2-raised.json").is_file()
