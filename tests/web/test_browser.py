"""The example in a real browser: its one command, headless Chromium, and what people do.

Screenshots are left in `artifacts/` next to this file.
"""

from __future__ import annotations

import base64
import contextlib
import re
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
AXE = (Path(__file__).parent / "axe/axe.min.js").read_text("utf-8")
PRODUCT = "/products/kelas-web-dasar"
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
"""A picture of one pixel."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="Chromium and its driver are not installed (Debian: chromium, chromium-driver)",
    ),
]


@pytest.fixture
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The README's command on a free port, ready to answer; the parameter is its `--ttl`."""
    ttl = str(getattr(request, "param", 15))
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
    command = [sys.executable, "-m", "examples.web", "--demo", "--ttl", ttl, "--port", str(number)]
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


def open_browser(profile: Path) -> webdriver.Chrome:
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
        f"--user-data-dir={profile}",
    ):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": "en"})
    service = webdriver.ChromeService(executable_path=str(DRIVER))
    return webdriver.Chrome(options=options, service=service)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for all of these tests."""
    with open_browser(tmp_path_factory.mktemp("chromium")) as driver:
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
    press(browser, By.CSS_SELECTOR, ".review-form .button")


def test_a_review_is_written_and_seen(browser: webdriver.Chrome, address: str) -> None:
    """The customer sees the new review first on the page, and thanks above it."""
    leave_review(browser, address, BUYERS[0], "Kelas yang menyenangkan")
    assert browser.current_url == address + PRODUCT
    assert "Thank you" in browser.find_element(By.CSS_SELECTOR, ".notice.good").text
    assert messages(browser)[0] == "Kelas yang menyenangkan"
    browser.refresh()
    assert not browser.find_elements(By.CSS_SELECTOR, ".notice.good")


def test_a_second_review_edits_the_first(browser: webdriver.Chrome, address: str) -> None:
    """Who writes again is shown what stands there, and changes it; nothing typed is lost."""
    leave_review(browser, address, BUYERS[1], "Satu")
    leave_review(browser, address, BUYERS[1], "Dua")
    assert "You have reviewed this before" in browser.find_element(By.CSS_SELECTOR, ".notice").text
    assert "Satu" in browser.find_element(By.CSS_SELECTOR, ".there").text
    assert browser.find_element(By.ID, "message").get_attribute("value") == "Dua"
    assert browser.find_element(By.ID, "rating-4").is_selected()
    [entry] = console(browser)
    assert "409" in entry["message"]  # the browser notes every status from 400 on
    press(browser, By.CSS_SELECTOR, ".review-form .button")
    assert "Your review is changed." in browser.find_element(By.CSS_SELECTOR, ".notice.good").text
    assert messages(browser)[0] == "Dua"
    assert "Satu" not in messages(browser)


def test_every_mistake_is_told_beside_its_field(browser: webdriver.Chrome, address: str) -> None:
    """All at once, with a list that leads to the fields, and what was typed is still there."""
    browser.get(f"{address}{PRODUCT}/review")
    browser.execute_script("document.querySelector('.review-form').noValidate = true")
    browser.find_element(By.ID, "message").send_keys("Bagus")
    browser.find_element(By.ID, "customer_email").send_keys("siti di rumah")
    press(browser, By.CSS_SELECTOR, ".review-form .button")
    assert len(browser.find_elements(By.CSS_SELECTOR, ".fault")) == 2
    assert len(browser.find_elements(By.CSS_SELECTOR, ".notice.bad a")) == 2
    assert browser.find_element(By.ID, "customer_email").get_attribute("value") == "siti di rumah"
    assert browser.find_element(By.ID, "message").get_attribute("value") == "Bagus"
    assert "422" in console(browser)[0]["message"]
    assert faults_of_access(browser) == []


def test_a_photo_is_seen_with_its_review(
    browser: webdriver.Chrome, address: str, tmp_path: Path
) -> None:
    """It is chosen in the form, attached to the review, and loads on the product's page."""
    photo = tmp_path / "foto.png"
    photo.write_bytes(base64.b64decode(DOT))
    browser.get(f"{address}/products/kopi-gayo/review")
    browser.find_element(By.CSS_SELECTOR, "label[for=rating-5]").click()
    browser.find_element(By.ID, "photos").send_keys(str(photo))
    browser.find_element(By.ID, "customer_email").send_keys(BUYERS[0])
    press(browser, By.CSS_SELECTOR, ".review-form .button")
    image = browser.find_element(By.CSS_SELECTOR, "#reviews > li .media img")
    WebDriverWait(browser, 5).until(lambda _: image.get_property("naturalWidth") == 1)


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
    assert "more reviews are shown. There are no" in browser.find_element(By.ID, "told").text
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
    assert "1 review is archived." in browser.find_element(By.CSS_SELECTOR, ".done").text
    press(browser, By.CSS_SELECTOR, "button[value=UNDO]")
    assert "Undone" in browser.find_element(By.CSS_SELECTOR, ".done").text
    browser.find_element(By.NAME, "review").click()
    press(browser, By.CSS_SELECTOR, "button[value=ARCHIVED]")
    assert "Archived" in browser.find_element(By.CSS_SELECTOR, "#reviews > li").text
    browser.get(address + PRODUCT)
    assert "Hapus saya" not in messages(browser)
    browser.get(inside + "?status=ARCHIVED")
    browser.find_element(By.NAME, "review").click()
    press(browser, By.CSS_SELECTOR, "button[value=ACTIVE]")
    browser.get(address + PRODUCT)
    assert messages(browser)[0] == "Hapus saya"


def test_the_language_can_be_switched(browser: webdriver.Chrome, address: str) -> None:
    """The same page comes back in the other language, and the next one too."""
    browser.get(address + PRODUCT)
    press(browser, By.LINK_TEXT, "Bahasa Indonesia")
    assert browser.current_url == address + PRODUCT
    assert browser.find_element(By.ID, "reviews-title").text == "Ulasan"
    browser.get(address)
    assert "Yang kami jual" in browser.title
    press(browser, By.LINK_TEXT, "English")
    assert "What we sell" in browser.title


def mood(browser: webdriver.Chrome, name: str) -> None:
    """Press a button of the panel, and wait until it is pressed."""
    browser.find_element(By.CSS_SELECTOR, f".moods button[value={name}]").click()
    WebDriverWait(browser, 5).until(
        lambda _: browser.find_elements(By.CSS_SELECTOR, f".panel[data-mood={name}]")
    )


def figure(browser: webdriver.Chrome, name: str) -> int:
    """A figure of the panel."""
    text = browser.find_element(By.ID, f"figure-{name}").text
    return int(re.sub(r"\D.*", "", text.replace(",", "")) or 0)


@pytest.mark.parametrize("port", [1], indirect=True)
def test_the_panel_shows_what_the_client_is_worth(browser: webdriver.Chrome, address: str) -> None:
    """Whatever Mayar does, pages are served, the budget holds, and no review comes twice."""
    browser.get(address + PRODUCT)
    WebDriverWait(browser, 5).until(lambda _: figure(browser, "served"))
    browser.find_element(By.ID, "crowd").click()
    try:
        for name in ("slow", "dropping"):
            mood(browser, name)
            time.sleep(3)
        leave_review(browser, address, BUYERS[2], "Walau putus")
        assert messages(browser).count("Walau putus") <= 1
        WebDriverWait(browser, 15).until(lambda _: figure(browser, "retries"))
        mood(browser, "down")
        WebDriverWait(browser, 15).until(
            lambda _: "as of" in browser.find_element(By.ID, "freshness").text
        )
        mood(browser, "limited")
        before = figure(browser, "served")
        WebDriverWait(browser, 15).until(lambda _: figure(browser, "served") > before + 20)
        mood(browser, "fine")
        assert figure(browser, "spent") <= 20
        assert figure(browser, "doubled") == 0
    finally:
        browser.execute_script("sessionStorage.clear()")
    browser.get(address)


PAGES = {
    "index": "/",
    "product": PRODUCT,
    "form": f"{PRODUCT}/review",
    "empty": "/products/resep-nusantara",
    "moderation": "/moderation",
    "missing": "/nowhere",
}


def set_device(browser: webdriver.Chrome, width: int, scheme: str, height: int = 900) -> None:
    """Make the screen as wide, and as light or dark."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )


def keep_picture(browser: webdriver.Chrome, name: str) -> None:
    """Leave a screenshot among the artifacts."""
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / ".gitignore").write_text("*\n")
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    (ARTIFACTS / f"{name}.png").write_bytes(base64.b64decode(picture["data"]))


def overflow(browser: webdriver.Chrome) -> int:
    """By how many pixels the page is wider than the screen."""
    width: int = browser.execute_script(
        "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return width


def faults_of_access(browser: webdriver.Chrome) -> list[str]:
    """What axe-core finds on the page."""
    browser.execute_script(AXE)
    found = browser.execute_async_script(
        "axe.run(document, {resultTypes: ['violations']}).then(arguments[0])"
    )
    return [
        f"{fault['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for fault in found["violations"]
        for node in fault["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_every_page_is_good_to_look_at(
    browser: webdriver.Chrome, address: str, port: int, scheme: str, width: int
) -> None:
    """It fits the screen, also at twice the text; axe finds nothing; the pictures are kept."""
    set_device(browser, width, scheme)
    browser.get(f"http://moderator:demo@127.0.0.1:{port}/moderation")  # signs in
    for name, path in PAGES.items():
        browser.get(address + path)
        assert overflow(browser) <= 0, name
        background = browser.execute_script("return getComputedStyle(document.body).background")
        assert ("rgb(22, 21, 18)" in background) == (scheme == "dark")
        keep_picture(browser, f"{name}-{width}-{scheme}")
        assert faults_of_access(browser) == [], name
        browser.execute_script("document.documentElement.style.fontSize = '200%'")
        assert overflow(browser) <= 0, f"{name} at 200 %"
        cut_off = browser.execute_script(
            "return [...document.querySelectorAll('main *, .panel *')].filter(one =>"
            " one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.unseen, svg'))"
            ".map(one => one.outerHTML.slice(0, 80))"
        )
        assert cut_off == [], f"{name} at 200 %"
        if width == 360:
            browser.execute_script("document.querySelector('main').scrollIntoView()")
            keep_picture(browser, f"{name}-{width}-{scheme}-large")
    assert {"404" in entry["message"] for entry in console(browser)} == {True}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1440])
def test_bad_days_are_good_to_look_at(
    browser: webdriver.Chrome, address: str, scheme: str, width: int
) -> None:
    """While Mayar is down from the start: no card, page or list looks unfinished."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    urllib.request.urlopen(f"{address}/demo/mood", b"mood=down").close()
    set_device(browser, width, scheme)
    for name in ("index", "product", "form"):
        browser.get(address + PAGES[name].replace("kelas-web-dasar", "kopi-gayo"))
        assert overflow(browser) <= 0
        keep_picture(browser, f"down-{name}-{width}-{scheme}")
        assert faults_of_access(browser) == [], name


@pytest.mark.parametrize("width", [360, 768, 1440])
def test_long_names_break(browser: webdriver.Chrome, address: str, width: int) -> None:
    """A name of ninety letters without a space makes no page wider than the screen."""
    set_device(browser, width, "light")
    for path in ("/", PRODUCT):
        browser.get(address + path)
        browser.execute_script(
            "for (const name of document.querySelectorAll('bdi')) name.textContent = 'W'.repeat(90)"
        )
        assert overflow(browser) <= 0
        keep_picture(browser, f"long-{'product' if path == PRODUCT else 'index'}-{width}")
