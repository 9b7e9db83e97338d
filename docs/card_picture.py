"""Makes docs/card.png: the card of an example patient, as a browser shows it.

python docs/card_picture.py makes it anew; needs chromium.
"""

import shutil
import socket
import tempfile
import threading
from pathlib import Path

import uvicorn
from playwright.sync_api import sync_playwright

from serving.app import create_app
from serving.settings import Settings

HERE = Path(__file__).parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync"]


def main() -> None:
    """Serve the released models, choose the patient of high risk, and keep the picture of the card."""
    with tempfile.TemporaryDirectory() as state, socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        app = create_app(Settings(state=Path(state), as_of="latest-observation", public_url=url))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
            page = browser.new_page(viewport={"width": 860, "height": 1400}, device_scale_factor=1.25)
            page.goto(url)
            page.get_by_label("High risk").check()
            card = page.get_by_role("article")
            card.wait_for()
            card.screenshot(path=HERE / "card.png")
            browser.close()
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
