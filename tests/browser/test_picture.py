"""The input picture on the page: how it comes in, how it is cropped, what is refused."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import VIOLATIONS, Page, write_picture


def test_a_turned_picture_is_cropped_as_it_is_seen(page: Page, face: bytes, tmp_path: Path) -> None:
    page.quick(n=1)
    page.upload(write_picture(tmp_path / "turned.jpg", face, (300, 200), orientation=6))
    assert page.crop() == [0, 50, 200]
    page.set("crop-y", 999)
    page.press(Keys.TAB)
    assert page.crop() == [0, 100, 200]  # the lowest square; not inside unless upright
    page.make()
    assert "crop=0,100,200" in page.command()


def test_the_square_is_drawn_moved_and_resized_by_pointer(
    page: Page, face: bytes, tmp_path: Path
) -> None:
    page.upload(write_picture(tmp_path / "square.png", face, (500, 500)))
    box = page.get("#frame").rect
    scale = 500 / box["width"]

    def drag(start: tuple[float, float], end: tuple[float, float]) -> None:
        places = [(box["x"] + x / scale, box["y"] + y / scale) for x, y in (start, end)]
        for kind, (x, y) in zip(
            ("mousePressed", "mouseMoved", "mouseReleased"),
            (places[0], places[1], places[1]),
            strict=True,
        ):
            event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
            page.browser.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    drag((100, 100), (300, 250))
    assert page.crop() == pytest.approx([100, 100, 200], abs=3)
    drag((200, 200), (250, 180))
    assert page.crop() == pytest.approx([150, 80, 200], abs=3)
    drag((345, 275), (440, 370))  # the lower right corner
    assert page.crop() == pytest.approx([150, 80, 290], abs=6)
    page.press_button("Reset")
    assert page.crop() == [0, 0, 500]


@pytest.fixture
def phone(page: Page) -> Iterator[Page]:
    """Return the page on a screen that is touched."""
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.resize(390, 780)
    page.browser.refresh()
    page.run(VIOLATIONS)
    yield page
    page.browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def _middle(page: Page, selector: str) -> tuple[float, float]:
    """Return the middle of an element in the window, scrolled into view."""
    script = """
      const one = document.querySelector(arguments[0]);
      one.scrollIntoView({block: "center", behavior: "instant"});
      const box = one.getBoundingClientRect();
      return [box.x + box.width / 2, box.y + box.height / 2];
    """
    x, y = page.run(script, selector)
    return x, y


def _swipe(page: Page, start: tuple[float, float], by: tuple[float, float]) -> None:
    """Put a thumb down, move it in steps as a person does, lift it."""
    steps = 8
    for step in range(steps + 1):
        at = {axis: start[i] + by[i] * step / steps for i, axis in enumerate("xy")}
        kind = "touchMove" if step else "touchStart"
        page.browser.execute_cdp_cmd(
            "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]}
        )
    page.browser.execute_cdp_cmd(
        "Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []}
    )


@pytest.mark.parametrize("size", [(500, 500), (300, 400), (400, 300)])
def test_a_thumb_that_scrolls_over_the_picture_leaves_the_crop_alone(
    phone: Page, face: bytes, tmp_path: Path, size: tuple[int, int]
) -> None:
    phone.upload(write_picture(tmp_path / "picture.png", face, size))
    crop = phone.crop()
    place, before = _middle(phone, "#frame"), phone.run("return scrollY")
    _swipe(phone, place, (0, -200))
    assert phone.crop() == crop
    assert phone.run("return scrollY") > before
    _swipe(phone, _middle(phone, "#frame"), (120, 90))
    assert phone.crop() == crop


def test_a_thumb_resizes_the_square_by_a_corner_and_moves_it_once_it_was_tapped(
    phone: Page, face: bytes, tmp_path: Path
) -> None:
    phone.upload(write_picture(tmp_path / "picture.png", face, (500, 500)))
    scale = 500 / phone.get("#frame").rect["width"]
    _swipe(phone, _middle(phone, '[data-corner="se"]'), (-100, -100))
    assert phone.crop() == pytest.approx([0, 0, 500 - 100 * scale], abs=20 * scale)
    side = phone.crop()[2]
    x, y = _middle(phone, "#crop")
    phone.run("document.activeElement.blur()")
    _swipe(phone, (x, y), (40, 0))
    assert phone.crop() == [0, 0, side]
    _swipe(phone, (x, y), (0, 0))
    phone.until(lambda: phone.focused().get_attribute("id") == "crop", 5)
    _swipe(phone, (x, y), (40, 60))
    assert phone.crop() == pytest.approx([40 * scale, 60 * scale, side], abs=3 * scale)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_a_picture_can_be_dropped_and_pasted(page: Page, face: bytes, way: str) -> None:
    script = """
      const bytes = Uint8Array.from(atob(arguments[1]), (one) => one.charCodeAt(0));
      const data = new DataTransfer();
      data.items.add(new File([bytes], "given.png", {type: "image/png"}));
      document.body.dispatchEvent(arguments[0] === "drop"
        ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
        : new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
    """
    page.run(script, way, base64.b64encode(face).decode())
    page.until(lambda: page.get("#frame").is_displayed())
    assert "given.png" in str(page.get("#shown").get_attribute("alt"))
    assert page.crop() == [0, 0, 512]


def test_files_that_are_no_pictures_or_too_large_are_refused_in_words(
    page: Page, face: bytes, tmp_path: Path
) -> None:
    page.ready()
    page.press_button("Make")
    assert "Choose a picture first" in page.get("#image-error").text
    wrong = tmp_path / "letter.png"
    wrong.write_text("no picture")
    small = write_picture(tmp_path / "small.png", face, (40, 40))
    narrow = write_picture(tmp_path / "narrow.png", face, (900, 100))
    large = tmp_path / "large.png"
    large.write_bytes(face + bytes(21_000_000))
    for path, words in (
        (wrong, "“letter.png” cannot be shown as a picture"),
        (small, "40 × 40 pixels: each side needs at least 64"),
        (narrow, "at most 4 times the shorter"),
        (large, "at most 20.0 MB are taken"),
    ):
        page.get("#file").send_keys(str(path))
        page.until(lambda words=words: words in page.get("#image-error").text, 10)
        page.press_button("Make")
        assert words in page.get("#image-error").text
    entries = page.run("return performance.getEntriesByType('resource').map((one) => one.name)")
    assert not any("/v1/pairs" in name for name in entries)
