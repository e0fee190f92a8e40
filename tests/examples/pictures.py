"""Take the README's pictures in a real browser: `python -m tests.examples.pictures`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.architecture import ROOT
from tests.browser import OPTIONS, find_chromium
from tests.examples.served import Served

PICTURES = ROOT / "docs" / "pictures"
NOTES = ("Return the library books", "Water the fig, not the cactus", "Ask Grace about Thursday")


def main() -> None:
    """Desktop and phone, light and dark."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Served(Path(folder)) as demo,
        sync_playwright() as playwright,
    ):
        program = find_chromium()
        browser = playwright.chromium.launch(executable_path=program, args=list(OPTIONS))
        shoot(browser, demo.url)
        shoot_warnings(browser, demo.url)
        browser.close()


def shoot(browser: Browser, url: str) -> None:
    first = browser.new_page(viewport={"width": 1240, "height": 800}, device_scale_factor=2)
    first.goto(url)
    first.screenshot(path=PICTURES / "demo-signed-out.png")
    sign_in(first)
    phone = browser.new_page(
        viewport={"width": 390, "height": 844},
        device_scale_factor=2,
        user_agent="Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Safari/605.1.15",
    )
    phone.goto(url)
    sign_in(phone, remember=True)
    for note in NOTES:
        for page in (phone, first):
            page.fill("[name=text]", note)
            page.click("text=Keep it")
    first.screenshot(path=PICTURES / "demo.png")
    first.emulate_media(color_scheme="dark")
    first.screenshot(path=PICTURES / "demo-dark.png")
    phone.screenshot(path=PICTURES / "demo-phone.png", full_page=True)


def shoot_warnings(browser: Browser, url: str) -> None:
    """Both warnings, in real time: each comes after 75 seconds."""
    page = browser.new_page(viewport={"width": 1240, "height": 640}, device_scale_factor=2)
    page.goto(url)
    page.check("[name=short]")
    sign_in(page)
    page.fill("[name=text]", NOTES[0])
    page.get_by_text("You have not been active").wait_for(timeout=120_000)
    page.screenshot(path=PICTURES / "warning-idle.png")
    page.get_by_role("button", name="Stay signed in").click()
    announced = page.get_by_text("cannot be extended")
    while not announced.is_visible():
        page.locator("[name=text]").press("ArrowLeft")
        page.wait_for_timeout(5_000)
    page.screenshot(path=PICTURES / "warning-absolute.png")


def sign_in(page: Page, *, remember: bool = False) -> None:
    page.fill("#name", "Ada")
    page.set_checked("[name=remember]", remember)
    page.click(".sign-in button")


if __name__ == "__main__":
    main()
