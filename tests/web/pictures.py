"""`python -m tests.web.pictures`: take the pictures that the READMEs show, in `examples/web/pictures`.

Two screenshots, and an animation of the panel while Mayar's mood changes: a picture a second.
"""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.by import By

from .test_browser import PRODUCT, ROOT, open_browser, set_device

_PICTURES = ROOT / "examples/web/pictures"
_ADDRESS = "http://127.0.0.1:8097"
_FILM = (("fine", 5), ("dropping", 12), ("slow", 5), ("down", 22), ("limited", 6), ("fine", 16))
"""Moods, and for how many seconds."""


def _take(browser: webdriver.Chrome) -> Image.Image:
    picture = browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
    image = Image.open(BytesIO(base64.b64decode(picture["data"])))
    return image.convert("RGB").quantize(128, dither=Image.Dither.NONE)


def _film(browser: webdriver.Chrome) -> None:
    set_device(browser, 960, "light", height=600)
    browser.get(_ADDRESS + PRODUCT)
    browser.find_element(By.ID, "crowd").click()
    frames = []
    for mood, seconds in _FILM:
        browser.find_element(By.CSS_SELECTOR, f".moods button[value={mood}]").click()
        for _ in range(seconds):
            time.sleep(1)
            frames.append(_take(browser).convert("RGB"))
    first, *others = frames
    file = _PICTURES / "panel.webp"
    first.save(file, save_all=True, append_images=others, duration=250, lossless=True, method=4)


def _main() -> None:
    command = [sys.executable, "-m", "examples.web", "--demo", "--ttl", "10", "--port", "8097"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            time.sleep(3)
            with TemporaryDirectory() as profile, open_browser(Path(profile)) as browser:
                browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})
                for name, path, scheme in (("index", "/", "light"), ("product", PRODUCT, "dark")):
                    set_device(browser, 1200, scheme, height=760)
                    browser.get(_ADDRESS + path)
                    time.sleep(2)
                    _take(browser).save(_PICTURES / f"{name}.png", optimize=True)
                _film(browser)
        finally:
            process.terminate()


if __name__ == "__main__":
    _main()
