"""A real Chromium on the page of a real service."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.serve.conftest import demo as demo

CHROMIUM = Path("/usr/bin/chromium")
CHROMEDRIVER = Path("/usr/bin/chromedriver")
DESKTOP_PX = (1280, 900)

# Notes the state of the sheet at each change of the page: what arrives, and in which order.
RECORDER = """
window.recorded = [];
const count = (role) => document.querySelectorAll(`#pairs [data-role="${role}"] img`).length;
const note = () => recorded.push({
  vae: count("vae"), diffusion: count("stable_diffusion"),
  value: document.getElementById("meter-stable_diffusion").value,
  step: document.getElementById("meters").textContent.match(/step (\\d+) of 13/)?.[1],
  at_ms: performance.now(),
});
new MutationObserver(note).observe(document.getElementById("pairs-panel"),
  {childList: true, subtree: true, attributes: true, attributeFilter: ["value", "max"]});
"""
VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
# The policy forbids scripts to fetch a blob, so the picture is drawn and read back as a PNG.
DRAW = """
const [url, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  done(canvas.toDataURL("image/png").split(",")[1]);
};
image.src = url;
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add where to put the screenshots."""
    parser.addoption("--screenshots", metavar="DIR", help="write screenshots of the page into DIR")


def pixels(file: bytes) -> np.ndarray:
    """Decode a picture to (H, W, 3) in [0, 255]; signed, so that differences are."""
    return np.asarray(Image.open(BytesIO(file)).convert("RGB"), dtype=np.int16)


def write_picture(path: Path, face: bytes, size: tuple[int, int], orientation: int = 1) -> Path:
    """Write the face in another size, with an EXIF orientation; return the path."""
    picture = Image.open(BytesIO(face)).convert("RGB").resize(size)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(path, exif=exif)
    return path


class Page:
    """What a person does on the page and sees of it."""

    def __init__(self, browser: Chrome, downloads: Path, screenshots: Path) -> None:
        self.browser = browser
        self.downloads = downloads
        self._screenshots = screenshots

    def open(self, url: str) -> None:
        self.browser.get(url)
        self.run(VIOLATIONS)

    def get(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def button(self, words: str) -> WebElement:
        """Return the button with these words that is in view."""
        found = self.browser.find_elements(By.XPATH, f"//button[normalize-space()='{words}']")
        return next(one for one in found if one.is_displayed())

    def click(self, target: WebElement | str) -> None:
        """Click where a person would: not at an edge, under what is fixed there."""
        element = self.get(target) if isinstance(target, str) else target
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def press_button(self, words: str) -> None:
        self.click(self.button(words))

    def press(self, *keys: str) -> None:
        self.browser.switch_to.active_element.send_keys(*keys)

    def focused(self) -> WebElement:
        return self.browser.switch_to.active_element

    def until(self, condition: Callable[[], Any], timeout_s: float = 60) -> Any:
        """Return what the condition gives once it is true."""
        started = time.monotonic()
        while time.monotonic() - started < timeout_s:
            try:
                if outcome := condition():
                    return outcome
            except StaleElementReferenceException:
                pass  # the page was being redrawn: look again
            time.sleep(0.05)
        shown = self.get("body").text
        raise AssertionError(f"it did not happen within {timeout_s} s; the page says:\n{shown}")

    def set(self, name: str, value: object) -> None:
        """Type into a field, in place of what is there."""
        field = self.get(f"#{name}")
        if not field.is_displayed():
            self.click("#more summary")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(Keys.DELETE, str(value))

    def keep_seed(self, seed: int) -> None:
        if self.get("#random").is_selected():
            self.click("#random")
        self.set("seed", seed)

    def upload(self, path: Path) -> None:
        self.get("#file").send_keys(str(path))
        self.until(lambda: self.get("#frame").is_displayed())

    def use_sample(self) -> None:
        self.press_button("Use the sample face")
        self.until(lambda: self.get("#frame").is_displayed())

    def crop(self) -> list[int]:
        fields = [self.get(f"#crop-{name}") for name in ("x", "y", "side")]
        return [int(field.get_property("value")) for field in fields]

    def ready(self) -> None:
        """Wait until the served defaults are in the fields."""
        self.until(lambda: self.get("#strength").get_property("value") != "")

    def quick(self, n: int = 3, seed: int = 7) -> None:
        """Set up a run of the sample face that takes a second."""
        self.ready()
        self.use_sample()
        self.keep_seed(seed)
        for name, value in {"num_inference_steps": 4, "n": n}.items():
            self.set(name, value)

    def make(self) -> None:
        """Make the pairs and wait for the end."""
        self.press_button("Make")
        self.until(lambda: " made, seeds " in self.get("#pairs-status").text)

    def images(self, role: str) -> list[WebElement]:
        return self.all(f'#pairs [data-role="{role}"] img')

    def pixels_of(self, element: WebElement, attribute: str = "src") -> np.ndarray:
        """Return what the picture behind an image or a link shows, (H, W, 3) in [0, 255]."""
        url = element.get_attribute(attribute)
        return pixels(base64.b64decode(self.browser.execute_async_script(DRAW, url)))

    def command(self) -> str:
        """Return what `Copy as curl` gives, from the clipboard."""
        self.press_button("Copy as curl")
        self.until(lambda: "Copied" in self.get(".sheet-actions .help").text)
        done = "navigator.clipboard.readText().then(arguments[arguments.length - 1])"
        return str(self.browser.execute_async_script(done))

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def scheme(self, name: str) -> None:
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def screenshot(self, name: str) -> bytes:
        path = self._screenshots / name
        self.browser.save_screenshot(str(path))
        return path.read_bytes()

    def to_top(self) -> None:
        self.run("scrollTo(0, 0); document.querySelector('.scroller').scrollTo(0, 0)")

    def complaints(self) -> list[str]:
        """Return errors of the page and violations of its policy; refused requests are neither."""
        entries = [one for one in self.browser.get_log("browser") if one["level"] == "SEVERE"]
        errors = [json.dumps(one) for one in entries if one["source"] != "network"]
        return errors + list(self.run("return window.violations ?? []"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chrome, Path]]:
    """Start Chromium once; return it and where its downloads go."""
    if not (CHROMIUM.exists() and CHROMEDRIVER.exists()):
        pytest.fail("the page's tests need a browser: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for argument in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    downloads = tmp_path_factory.mktemp("downloads")
    chrome = Chrome(options=options, service=Service(str(CHROMEDRIVER)))
    try:
        allowed = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
        chrome.execute_cdp_cmd("Browser.grantPermissions", allowed)
        behaviour = {"behavior": "allow", "downloadPath": str(downloads)}
        chrome.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
        yield chrome, downloads
    finally:
        chrome.quit()


@pytest.fixture
def blank(
    browser: tuple[Chrome, Path], request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Page]:
    """Return the page before it is opened; afterwards it must not have complained."""
    chrome, downloads = browser
    asked = request.config.getoption("--screenshots", default=None)
    screenshots = Path(asked) if asked else tmp_path
    screenshots.mkdir(parents=True, exist_ok=True)
    for file in downloads.iterdir():
        file.unlink()
    page = Page(chrome, downloads, screenshots)
    page.resize(*DESKTOP_PX)
    page.scheme("light")
    chrome.get_log("browser")
    yield page
    assert page.complaints() == []


@pytest.fixture
def page(blank: Page, demo: Any) -> Page:
    """Return the page of the demo, just opened."""
    blank.open(str(demo.base_url))
    return blank
