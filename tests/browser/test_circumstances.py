"""The page where things differ: narrow, dark, with a key, without a service; and Swagger UI."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Page
from tests.support.services import ROOT, serving

WIDTHS_PX = (320, 360, 400)
TOO_WIDE = """
const wide = [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility()
  && one.getBoundingClientRect().right > arguments[0] + 1
  && !one.closest(".skip, .unseen, .command"));
const beyond = document.documentElement.scrollWidth - arguments[0];
return [beyond, wide.map((one) => one.outerHTML.slice(0, 80))];
"""
# WCAG 2.2, "contrast ratio" and "relative luminance"; opaque colours only, as the page has.
CONTRASTS = """
const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
const channel = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const luminance = (colour) => {
  const [red, green, blue] = numbers(colour).map((value) => channel(value / 255));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const background = (one) => {
  for (let at = one; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (numbers(colour)[3] !== 0) return colour;
  }
};
const texts = [...document.querySelectorAll("body *")].filter((one) => one.checkVisibility()
  && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
return texts.map((one) => {
  const pair = [getComputedStyle(one).color, background(one)].map(luminance).sort((a, b) => b - a);
  return [(pair[0] + 0.05) / (pair[1] + 0.05), one.outerHTML.slice(0, 80)];
});
"""


def assert_fits(page: Page) -> None:
    for width in WIDTHS_PX:
        page.resize(width, 740)
        # The curve is drawn anew in the next frame.
        page.run("return new Promise((done) => setTimeout(() => requestAnimationFrame(done), 100))")
        beyond, wide = page.run(TOO_WIDE, width)
        assert (beyond, wide) == (0, []), width


def test_nothing_scrolls_sideways_on_a_phone(page: Page) -> None:
    page.resize(360, 740)
    assert_fits(page)
    page.quick(n=10, seed=2**32 - 1000)
    page.set("prompt", "a portrait of a person with " + "remarkably" * 30)
    page.make()
    page.command()
    assert_fits(page)
    page.resize(360, 740)
    page.run("document.getElementById('results').scrollIntoView()")
    page.screenshot("page-phone.png")
    assert page.button("Make").is_displayed()  # in reach wherever the page is scrolled to
    page.click(page.all("#pairs button")[0])
    assert_fits(page)
    page.press(Keys.ESCAPE)
    page.press_button("Sweep the diversity factor")
    page.until(lambda: "Swept" in page.get("#sweep-status").text)
    assert_fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_the_contrast_of_wcag_aa(page: Page, scheme: str) -> None:
    page.scheme(scheme)
    page.quick(n=10)
    page.make()
    page.command()
    page.set("strength", 0.1)
    page.press_button("Make")
    page.until(lambda: page.get("#strength-error").text)
    low = [one for one in page.run(CONTRASTS) if one[0] < 4.5]
    assert low == []
    page.to_top()
    shot = page.screenshot("page-dark.png" if scheme == "dark" else "page-light.png")
    paper = np.asarray(Image.open(io.BytesIO(shot)).convert("L"))[-200:, :20].mean()
    assert paper < 60 if scheme == "dark" else paper > 200


def test_every_control_has_a_name_and_can_be_reached_by_tab(page: Page) -> None:
    page.quick(n=1)
    page.make()
    page.run("document.querySelector('.skip').focus()")
    reached: list[str] = []
    for _ in range(60):
        page.press(Keys.TAB)
        focused = page.focused()
        assert focused.accessible_name or focused.tag_name == "body", focused.get_attribute(
            "outerHTML"
        )
        reached.append(str(focused.get_attribute("id")) or focused.text)
        if focused.tag_name == "body":
            break
    wanted = {"choose", "sample", "crop", "crop-side", "diversity_factor", "strength", "prompt"}
    wanted |= {"negative_prompt", "seed", "random", "guidance_scale", "n", "output_format"}
    wanted |= {"make", "sweep", "pairs-tab", "Download as zip", "Copy as curl"}
    assert wanted <= set(reached), wanted - set(reached)


def test_a_key_is_asked_for_kept_and_a_service_that_goes_is_noticed(blank: Page) -> None:
    with serving(ROOT / "configs" / "simulated.yaml", num_gpus=1) as client:
        key = client.headers["Authorization"].removeprefix("Bearer ")
        blank.open(str(client.base_url))
        blank.until(lambda: blank.get("#key").is_displayed())
        assert "key" in blank.get("#alert").text
        blank.use_sample()
        blank.set("key", "wrong")
        blank.press_button("Make")
        blank.until(lambda: "key" in blank.get("#alert").text)
        blank.set("key", key)
        blank.press(Keys.TAB)
        blank.ready()
        blank.set("n", 2)
        blank.make()
        assert "without a model" in blank.get("#demo-note").text
        command = blank.command()
        assert "Authorization: Bearer YOUR_API_KEY" in command
        assert key not in command + blank.run("return JSON.stringify([localStorage, location])")
        for name, value in {"n": 10, "num_inference_steps": 150, "strength": 1}.items():
            blank.set(name, value)
        blank.press_button("Make")
        blank.until(lambda: "step" in blank.get("#meters").text)
    blank.until(lambda: blank.get("#alert").is_displayed())
    assert blank.get("#alert").text.startswith("The connection broke")
    assert blank.all('#pairs [data-role="stable_diffusion"]')[0].text == "not made"
    blank.press_button("Make")
    blank.until(lambda: "cannot be reached" in blank.get("#alert").text)


def test_the_description_of_the_api_works_under_the_strict_policy(
    blank: Page, demo: httpx.Client
) -> None:
    blank.open(str(demo.base_url.join("/docs")))
    blank.until(lambda: len(blank.all(".opblock")) > 5)
    assert "/v1/pairs" in blank.get("#swagger-ui").text
    blank.click(".opblock-summary-control")
    blank.until(lambda: blank.all(".opblock-body"))
