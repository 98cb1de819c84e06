"""What a person does on the page: make, look, keep, repeat, stop, sweep."""

import base64
import json
import re
import subprocess
import time
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from deployments.api.middleware.security_headers import CONTENT_SECURITY_POLICY
from models.provenance import read_provenance
from tests.browser.conftest import RECORDER, Page, pixels, write_picture

ROLES = ("vae", "stable_diffusion")
NASTY_PROMPT = '@it\'s a "portrait"; $HOME `id` \\ <b>two</b>'


def curve_points(page: Page, name: str) -> np.ndarray:
    drawn = str(page.get(f"#curve polyline.{name}").get_attribute("points"))
    return np.array([[float(one) for one in pair.split(",")] for pair in drawn.split()])


def test_the_page_loads_without_complaints_and_asks_nobody_else(
    page: Page, demo: httpx.Client
) -> None:
    page.ready()
    answer = demo.get("/")
    assert answer.headers["content-security-policy"] == CONTENT_SECURITY_POLICY
    assert [one for one in page.browser.get_log("browser") if one["level"] != "INFO"] == []
    names = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    own = str(demo.base_url)
    assert names
    assert [name for name in names if not name.startswith((own, "data:"))] == []
    assert page.get("#strength").get_property("value") == "0.7"
    assert "waxy avatar" in page.get("#demo-note").text
    assert "people who agreed" in page.get("#controls").text
    assert "marked as generated" in page.get("footer").text
    page.screenshot("page-empty.png")


def test_a_face_becomes_ten_pairs_that_arrive_as_they_are_made(
    page: Page, demo: httpx.Client, face: bytes, tmp_path: Path
) -> None:
    page.ready()
    picture = write_picture(tmp_path / "wide.png", face, (600, 400))
    page.upload(picture)
    assert page.crop() == [100, 0, 400]
    page.get("#crop").send_keys("-", *[Keys.ARROW_LEFT] * 5, Keys.ARROW_DOWN)
    # A step is a hundredth of the shorter side: 8 px off the side, then 20 left and 4 down.
    assert page.crop() == [104 - 20, 4 + 4, 392]
    page.get("#diversity_factor + .slider").send_keys(Keys.ARROW_LEFT)
    page.set("strength", 0.65)
    page.keep_seed(7)
    page.run(RECORDER)
    page.make()

    states = page.run("return recorded")
    values = [state["value"] for state in states]
    assert values == sorted(values)
    steps = {int(state["step"]) for state in states if state["step"]}  # 13 of the 20 are run
    assert len(steps) > 8
    assert max(steps) == 13
    ready = next(state["at_ms"] for state in states if state["vae"] == 10)
    first = next(state for state in states if state["diffusion"])
    assert first["vae"] == 10
    assert first["at_ms"] - ready > 300  # shown when made, not when all was there

    labels = [one.get_attribute("aria-label") for one in page.all("#pairs button")]
    assert labels == [f"Enlarge Pair {k + 1}, seed {k + 7}" for k in range(10)]
    fields = {"seed": 7, "strength": 0.65, "diversity_factor": 6.9, "crop": "84,8,392"}
    answer = demo.post("/v1/pairs", files={"image": picture.read_bytes()}, data=fields).json()
    for role in ROLES:
        shown = [page.pixels_of(image) for image in page.images(role)]
        made = [pixels(base64.b64decode(pair[role]["b64_json"])) for pair in answer["pairs"]]
        assert len(shown) == 10
        assert np.abs(np.stack(shown) - np.stack(made)).max() <= 1
    for role in ROLES:
        metrics = answer["sets"][role]["metrics"]
        assert f"{metrics['pairwise_rmse']:.3f}" in page.get("#numbers").text
        assert answer["sets"][role]["model"] in page.get("#numbers").text
    page.to_top()
    page.screenshot("page.png")


def test_pairs_are_enlarged_and_stepped_through_by_keyboard(page: Page) -> None:
    page.quick(n=3)
    page.make()
    first = page.all("#pairs button")[0]
    page.run("arguments[0].focus()", first)
    page.press(Keys.ENTER)
    dialog = page.get("#enlarger")
    assert dialog.is_displayed()
    assert page.get("#enlarger-title").text == "Pair 1 of 3, seed 7"
    assert not page.get("#enlarger-previous").is_enabled()
    page.press(Keys.ARROW_RIGHT)
    page.press(Keys.ARROW_RIGHT)
    page.press(Keys.ARROW_RIGHT)
    assert page.get("#enlarger-title").text == "Pair 3 of 3, seed 9"
    assert "demo-vae" in dialog.text
    assert "demo-diffusion" in dialog.text
    links = page.all("#enlarger a")
    assert [one.get_attribute("download") for one in links] == [
        "vae-02-seed-9.png",
        "stable_diffusion-02-seed-9.png",
    ]
    for role, link in zip(ROLES, links, strict=True):
        assert (page.pixels_of(link, "href") == page.pixels_of(page.images(role)[2])).all()
    large, small = page.get("#enlarger img").size["width"], page.images("vae")[0].size["width"]
    assert large > 2 * small
    page.screenshot("page-enlarged.png")
    page.press(Keys.ARROW_LEFT)
    page.press(Keys.ESCAPE)
    assert not dialog.is_displayed()
    page.until(lambda: page.focused().get_attribute("aria-label") == "Enlarge Pair 2, seed 8", 5)


def test_the_zip_holds_the_images_that_are_shown_and_a_manifest(page: Page) -> None:
    page.quick(n=10, seed=2**32 - 4)
    page.make()
    page.press_button("Download as zip")
    path = page.until(lambda: next(page.downloads.glob("*.zip"), None))
    seeds = [(2**32 - 4 + k) % 2**32 for k in range(10)]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = [f"{role}/{k:02d}-seed-{seeds[k]}.png" for role in ROLES for k in range(10)]
        assert sorted(archive.namelist()) == sorted([*names, "manifest.json"])
        for role in ROLES:
            shown = [page.pixels_of(image) for image in page.images(role)]
            kept = [archive.read(name) for name in names if name.startswith(role)]
            assert (np.stack([pixels(file) for file in kept]) == np.stack(shown)).all()
            assert [record.seed for file in kept if (record := read_provenance(file))] == seeds
        manifest = json.loads(archive.read("manifest.json"))
    assert [pair["seed"] for pair in manifest["pairs"]] == seeds
    assert [pair["vae"]["file"] for pair in manifest["pairs"]] == names[:10]
    assert {pair["stable_diffusion"]["status"] for pair in manifest["pairs"]} == {"ok"}
    assert manifest["parameters"]["num_inference_steps"] == 4
    assert manifest["input"]["crop"] == {"x": 0, "y": 0, "side": 256}
    assert manifest["sets"]["vae"]["model"] == "demo-vae"


def test_the_curl_command_repeats_the_request(page: Page, face: bytes, tmp_path: Path) -> None:
    page.ready()
    page.upload(write_picture(tmp_path / "my 'best' face;1.png", face, (200, 300)))
    for name, value in {"num_inference_steps": 4, "n": 2, "prompt": NASTY_PROMPT}.items():
        page.set(name, value)
    page.get("#output_format").send_keys("WebP")
    page.get("#crop").send_keys(Keys.ARROW_DOWN)
    page.make()  # with a random seed, which the command must name
    command = page.command()
    seed = int(page.get("#seed").get_property("value"))
    assert f"seed={seed}" in command
    assert "crop=0,52,200" in command
    subprocess.run(["bash", "-c", command], cwd=tmp_path, check=True, timeout=60)
    answer = json.loads((tmp_path / "pairs.json").read_text())
    assert answer["parameters"]["prompt"] == NASTY_PROMPT
    assert answer["parameters"]["output_format"] == "webp"
    for role in ROLES:
        shown = [page.pixels_of(image) for image in page.images(role)]
        made = [pixels(base64.b64decode(pair[role]["b64_json"])) for pair in answer["pairs"]]
        assert np.abs(np.stack(shown) - np.stack(made)).max() <= 1


def test_what_the_service_refuses_is_said_at_the_field(page: Page) -> None:
    page.quick(n=1)
    page.set("num_inference_steps", 1)
    page.press_button("Make")
    error = page.get("#strength-error")
    page.until(lambda: "leaves no step to run" in error.text)
    assert page.focused().get_attribute("id") == "strength"
    assert page.get("#strength").get_attribute("aria-invalid") == "true"
    page.screenshot("page-error.png")
    page.set("num_inference_steps", 4)
    page.set("n", 99)
    page.click("#more summary")
    page.press_button("Make")
    page.until(lambda: page.get("#n-error").is_displayed())  # the disclosure opens for it
    assert "10" in page.get("#n-error").text
    assert error.text == ""
    page.set("n", 1)
    page.make()


@pytest.mark.parametrize("ways", ["double click", "Enter twice"])
def test_make_pressed_twice_makes_and_stop_pressed_twice_stops(page: Page, ways: str) -> None:
    def press_twice(words: str) -> None:
        button = page.button(words)
        page.run("arguments[0].scrollIntoView({block: 'center'}); arguments[0].focus()", button)
        if ways == "double click":
            ActionChains(page.browser).double_click(button).perform()
        else:
            page.press(Keys.ENTER, Keys.ENTER)

    page.quick(n=2)
    press_twice("Make")
    page.until(lambda: "2 pairs made, seeds" in page.get("#pairs-status").text)
    for name, value in {"num_inference_steps": 150, "strength": 1, "n": 10}.items():
        page.set(name, value)
    page.press_button("Make")
    page.until(lambda: re.search(r"step [3-9] of 150", page.get("#meters").text))
    press_twice("Stop")
    page.until(lambda: page.get("#pairs-status").text.startswith("Stopped: "))
    time.sleep(1)
    assert page.get("#pairs-status").text.startswith("Stopped: ")
    assert page.button("Make").is_displayed()


def test_stop_ends_the_work_on_the_service(page: Page, demo: httpx.Client, face: bytes) -> None:
    page.quick(n=10)
    for name, value in {"num_inference_steps": 150, "strength": 1}.items():
        page.set(name, value)
    page.press_button("Make")
    meter = page.get("#meters")
    page.until(lambda: re.search(r"step [3-9] of 150", meter.text))
    page.press_button("Stop")
    page.until(lambda: page.get("#pairs-status").text == "Stopped: 10 of 20 images are there.")
    words = [one.text for one in page.all('#pairs [data-role="stable_diffusion"]')]
    assert words == ["stopped"] * 10
    assert page.get("#alert").text == ""
    assert page.focused().text == "Make"
    started = time.monotonic()
    fields = {"n": 1, "num_inference_steps": 2}
    demo.post("/v1/pairs", files={"image": face}, data=fields).raise_for_status()
    assert time.monotonic() - started < 5  # 150 steps of ten images would take much longer


def test_the_sweep_slides_through_the_factors(page: Page) -> None:
    page.quick(n=2, seed=31)
    page.make()
    pair = page.pixels_of(page.images("vae")[0])
    page.press_button("Sweep the diversity factor")
    page.until(lambda: page.get("#sweep-status").text == "Swept 10 diversity factors.")
    assert page.get("#factor-value").text == "7"
    singles = page.all("#sweep-images img")
    assert len(singles) == 10
    captions = [one.text for one in page.all("#sweep-images .caption")]
    assert captions == [f"seed {31 + k}" for k in range(10)]
    assert np.abs(page.pixels_of(singles[0]) - pair).max() <= 1  # the same seed and factor
    curves = {name: curve_points(page, name) for name in ("pairwise_rmse", "input_rmse")}
    page.to_top()
    page.screenshot("page-sweep.png")
    before = page.get("#sweep-numbers td:last-child").text, page.get("#sweep-view .legend").text
    page.get("#factor").send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert page.get("#factor-value").text == "5"
    assert page.get("#factor").get_attribute("aria-valuetext") == "diversity factor 5"
    assert page.get("#sweep-view .legend").text != before[1]
    calmer = page.pixels_of(page.all("#sweep-images img")[0])
    assert np.abs(calmer - pair).max() > 10
    page.press_button("Download as zip")
    path = page.until(lambda: next(page.downloads.glob("*.zip"), None))
    with zipfile.ZipFile(path) as archive:
        assert len(archive.namelist()) == 101
        assert (pixels(archive.read("vae/factor-5/00-seed-31.png")) == calmer).all()
        sets = json.loads(archive.read("manifest.json"))["sets"]
    assert [one["diversity_factor"] for one in sets] == list(range(1, 11))
    for name, points in curves.items():
        values = [one["metrics"][name] for one in sets]
        assert np.corrcoef(points[:, 1], values)[0, 1] < -0.999  # SVG counts downward
        width = page.get("#factor").size["width"]
        assert points[:, 0] == pytest.approx(np.linspace(9, width - 9, 10), abs=1)
