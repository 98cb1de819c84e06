"""`/docs`: a first try of each call, with nothing but a picture chosen, works."""

from pathlib import Path

import httpx
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from tests.browser.conftest import Page
from tests.support.services import SAMPLE_FACE

FORM, JSON = "multipart/form-data", "application/json"
CALLS = [
    *((path, kind) for path in ("/v1/pairs", "/v1/sweep") for kind in (FORM, JSON)),
    *(
        (path, kind)
        for path in ("/v1/images/edits", "/v1/images/variations")
        for kind in (FORM, JSON)
    ),
    ("/v1/inspect", FORM),
    ("/sdapi/v1/img2img", JSON),
    ("/hf/image-to-image", JSON),
]


@pytest.fixture(scope="module")
def made_here(demo: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of an image that the service has made, for /v1/inspect."""
    answer = demo.post(
        "/hf/image-to-image",
        content=SAMPLE_FACE.read_bytes(),
        headers={"content-type": "image/png", "accept": "image/png"},
    )
    path = tmp_path_factory.mktemp("made") / "image.png"
    path.write_bytes(answer.raise_for_status().content)
    return path


def _opened(page: Page, path: str) -> WebElement:
    """Open a call, as a reader does who wants to try it."""
    block = page.until(
        lambda: next(
            (
                one
                for one in page.all(".opblock-post")
                if one.find_element(By.CSS_SELECTOR, ".opblock-summary-path").text == path
            ),
            None,
        )
    )
    page.click(block.find_element(By.CSS_SELECTOR, ".opblock-summary-control"))
    page.until(lambda: block.find_elements(By.CSS_SELECTOR, ".try-out__btn"))
    page.click(block.find_element(By.CSS_SELECTOR, ".try-out__btn"))
    page.until(lambda: block.find_elements(By.CSS_SELECTOR, ".execute"))
    return block


@pytest.mark.parametrize(("path", "kind"), CALLS)
def test_a_first_try_works(
    blank: Page, demo: httpx.Client, made_here: Path, path: str, kind: str
) -> None:
    blank.open(f"{demo.base_url}/docs")
    block = _opened(blank, path)
    for choice in block.find_elements(
        By.CSS_SELECTOR, ".opblock-section-request-body .content-type"
    ):
        Select(choice).select_by_visible_text(kind)
    for file in block.find_elements(By.CSS_SELECTOR, "input[type=file]"):
        file.send_keys(str(made_here if path == "/v1/inspect" else SAMPLE_FACE))
    blank.click(block.find_element(By.CSS_SELECTOR, ".execute"))
    answer = ".live-responses-table tbody .response-col_status"
    blank.until(lambda: block.find_elements(By.CSS_SELECTOR, answer), timeout_s=60)
    shown = block.find_element(By.CSS_SELECTOR, ".live-responses-table").text
    assert block.find_element(By.CSS_SELECTOR, answer).text.split()[0] == "200", shown[:1000]
    blank.screenshot(f"docs{path.replace('/', '-')}.png")
