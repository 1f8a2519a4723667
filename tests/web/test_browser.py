"""The example in a real browser: its one command, headless Chromium, and what people do.

Screenshots are left in `artifacts/` next to this file.
"""

from __future__ import annotations

import base64
import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

selenium = pytest.importorskip("selenium", reason="selenium is not installed")

from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.expected_conditions import staleness_of  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

from examples.web.demo import BUYERS  # noqa: E402

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
ROOT = Path(__file__).parents[2]
ARTIFACTS = Path(__file__).with_name("artifacts")
PRODUCT = "/products/kelas-web-dasar"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="Chromium and its driver are not installed (Debian: chromium, chromium-driver)",
    ),
]


@pytest.fixture
def port() -> Iterator[int]:
    """The README's command on a free port, ready to answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    command = [sys.executable, "-m", "examples.web", "--demo", "--port", str(number)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{number}/").close()
                    break
                time.sleep(0.1)
            yield number
        finally:
            process.terminate()


@pytest.fixture
def address(port: int) -> str:
    """Where the example is."""
    return f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Headless Chromium in English."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--lang=en",
        f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": "en"})
    service = webdriver.ChromeService(executable_path=str(DRIVER))
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


@pytest.fixture(autouse=True)
def quiet(browser: webdriver.Chrome, address: str) -> Iterator[None]:
    """No test may leave an error in the console, as a refused script or picture would."""
    browser.get(address)
    console(browser)
    yield
    assert console(browser) == []


def console(browser: webdriver.Chrome) -> list[dict[str, str]]:
    """What the console got since it was last asked for."""
    entries: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return entries


def press(browser: webdriver.Chrome, by: str, value: str) -> None:
    """Click on what leads to another page, and wait for that."""
    page = browser.find_element(By.TAG_NAME, "html")
    browser.find_element(by, value).click()
    WebDriverWait(browser, 5).until(staleness_of(page))


def messages(browser: webdriver.Chrome) -> list[str]:
    """The texts of the reviews that are shown."""
    return [element.text for element in browser.find_elements(By.CSS_SELECTOR, ".message")]


def count(browser: webdriver.Chrome) -> int:
    """How many reviews are shown."""
    return len(browser.find_elements(By.CSS_SELECTOR, "#reviews > li"))


def leave_review(browser: webdriver.Chrome, address: str, email: str, message: str) -> None:
    """Fill in the form as a person does, from the product's page on."""
    browser.get(address + PRODUCT)
    press(browser, By.LINK_TEXT, "Write a review")
    browser.find_element(By.CSS_SELECTOR, "label[for=rating-4]").click()
    browser.find_element(By.ID, "message").send_keys(message)
    browser.find_element(By.ID, "customer_email").send_keys(email)
    press(browser, By.CSS_SELECTOR, "form .button")


def test_a_review_is_written_and_seen(browser: webdriver.Chrome, address: str) -> None:
    """The customer sees the new review first on the page, and thanks above it."""
    leave_review(browser, address, BUYERS[0], "Kelas yang menyenangkan")
    assert browser.current_url == f"{address}{PRODUCT}?thanks"
    assert "Thank you" in browser.find_element(By.CSS_SELECTOR, ".notice.good").text
    assert messages(browser)[0] == "Kelas yang menyenangkan"


def test_a_second_review_is_refused_and_nothing_typed_is_lost(
    browser: webdriver.Chrome, address: str
) -> None:
    """A refusal is a sentence on the form, which still holds the message and the rating."""
    leave_review(browser, address, BUYERS[1], "Satu")
    leave_review(browser, address, BUYERS[1], "Dua")
    assert "already reviewed" in browser.find_element(By.CSS_SELECTOR, ".notice.bad").text
    assert browser.find_element(By.ID, "message").get_attribute("value") == "Dua"
    assert browser.find_element(By.ID, "rating-4").is_selected()
    [entry] = console(browser)
    assert "409" in entry["message"]  # the browser notes every status from 400 on


def test_a_script_in_a_review_stays_text(browser: webdriver.Chrome, address: str) -> None:
    """Markup in a review is shown letter for letter, and makes no element."""
    attack = "<script>document.title='gone'</script><img src=x onerror=\"document.title='gone'\">"
    leave_review(browser, address, BUYERS[2], attack)
    assert messages(browser)[0] == attack
    assert "gone" not in browser.title
    assert not browser.find_elements(By.CSS_SELECTOR, "#reviews script, #reviews img[src='x']")


def test_the_policy_stops_an_inline_script(browser: webdriver.Chrome, address: str) -> None:
    """Even if markup got onto the page, the content security policy would not let it run."""
    browser.get(address + PRODUCT)
    browser.execute_script(
        "const script = document.createElement('script');"
        "script.textContent = \"document.title = 'gone'\";"
        "document.body.append(script);"
    )
    assert "gone" not in browser.title
    assert "Content Security Policy" in console(browser)[0]["message"]


def test_older_reviews_are_loaded_into_the_page(browser: webdriver.Chrome, address: str) -> None:
    """The button adds page after page to the list, each review once, until there are no more."""
    browser.get(address + PRODUCT)
    wait = WebDriverWait(browser, 5)
    shown = count(browser)
    while buttons := browser.find_elements(By.ID, "more"):
        before = shown
        buttons[0].click()
        wait.until(lambda driver: count(driver) > before)  # noqa: B023  awaited at once
        wait.until(lambda driver: not driver.find_elements(By.CSS_SELECTOR, "#more[aria-busy]"))
        shown = count(browser)
    ids = [item.get_attribute("id") for item in browser.find_elements(By.CSS_SELECTOR, "li[id]")]
    assert len(ids) == len(set(ids)) >= 68
    assert browser.current_url == address + PRODUCT


def test_without_javascript_older_reviews_are_a_link(
    browser: webdriver.Chrome, address: str
) -> None:
    """With scripts off, the same button leads to a page of its own, and back."""
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address + PRODUCT)
        first = messages(browser)
        press(browser, By.ID, "more")
        assert "after=" in browser.current_url
        assert messages(browser)[:3] != first[:3]
        press(browser, By.LINK_TEXT, "Back to the newest")
        assert messages(browser) == first
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_a_moderator_archives_and_restores(
    browser: webdriver.Chrome, address: str, port: int
) -> None:
    """An archived review is gone from the product's page at once, a restored one is back."""
    leave_review(browser, address, BUYERS[3], "Hapus saya")
    inside = f"http://moderator:demo@127.0.0.1:{port}/moderation"
    browser.get(inside)
    newest = browser.find_element(By.CSS_SELECTOR, "#reviews > li")
    assert "Hapus saya" in newest.text
    newest.find_element(By.NAME, "review").click()
    press(browser, By.CSS_SELECTOR, "button[value=ARCHIVED]")
    assert "Archived" in browser.find_element(By.CSS_SELECTOR, "#reviews > li").text
    browser.get(address + PRODUCT)
    assert "Hapus saya" not in messages(browser)
    browser.get(inside + "?status=ARCHIVED")
    browser.find_element(By.NAME, "review").click()
    press(browser, By.CSS_SELECTOR, "button[value=ACTIVE]")
    browser.get(address + PRODUCT)
    assert messages(browser)[0] == "Hapus saya"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["phone", "desk"])
def test_it_fits_the_screen(
    browser: webdriver.Chrome, address: str, port: int, scheme: str, device: str
) -> None:
    """On a phone and on a desk, light and dark, no page is wider than the screen."""
    width, height = (390, 844) if device == "phone" else (1280, 900)
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / ".gitignore").write_text("*\n")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": device == "phone"},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    pages = {
        "product": address + PRODUCT,
        "form": f"{address}{PRODUCT}/review",
        "empty": f"{address}/products/resep-nusantara",
        "moderation": f"http://moderator:demo@127.0.0.1:{port}/moderation",
    }
    for name, url in pages.items():
        browser.get(url)
        overflow = browser.execute_script(
            "return document.documentElement.scrollWidth - window.innerWidth"
        )
        assert overflow <= 0, name
        background = browser.execute_script("return getComputedStyle(document.body).background")
        assert ("rgb(22, 21, 18)" in background) == (scheme == "dark")
        picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        (ARTIFACTS / f"{name}-{device}-{scheme}.png").write_bytes(base64.b64decode(picture["data"]))
