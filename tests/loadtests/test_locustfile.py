"""The kit as people run it: a real Locust process against a service that is right or lies."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
Answer = dict[str, Any]


def command(url: str, *arguments: str) -> list[str]:
    """Return the command line of a short run; later arguments replace earlier ones."""
    locust = [sys.executable, "-m", "locust", "--config", "loadtests/locust.conf"]
    small = ["--pairs-n", "4", "--mix", "pairs", "-u", "1", "-t", "10s"]
    return [*locust, "--host", url, *small, *arguments]


def run_locust(url: str, *arguments: str) -> tuple[int, str]:
    """Run Locust to its end and return its exit code and all that it wrote."""
    done = subprocess.run(
        command(url, "--iterations", "2", *arguments),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_correct_service_passes(service: Any) -> None:
    arguments = ("--repeat-share", "1", "--first-seed", str(2**32 - 2), "-u", "2")
    code, output = run_locust(service.url, *arguments)
    assert code == 0, output
    assert "Failed checks: none" in output
    assert "(8 correct, 0 wrong or failed, 0 turned away" in output
    assert len(service.forms) == 8
    assert len({(form["seed"], form["image"]) for form in service.forms}) == 4
    assert {form["seed"] for form in service.forms} >= {str(2**32 - 2)}
    assert "fake-diffusion" in output


def repeat_an_image(answer: Answer) -> None:
    """Put image 0 of one set in the place of image 2."""
    pairs = answer["pairs"]
    pairs[2]["stable_diffusion"] = pairs[0]["stable_diffusion"]


def swap_two_images(answer: Answer) -> None:
    """Swap two images of one set and leave the list as it was."""
    pairs = answer["pairs"]
    pairs[0]["vae"], pairs[1]["vae"] = pairs[1]["vae"], pairs[0]["vae"]


def swap_two_seeds(answer: Answer) -> None:
    """Swap the seeds of two pairs."""
    pairs = answer["pairs"]
    pairs[0]["seed"], pairs[1]["seed"] = pairs[1]["seed"], pairs[0]["seed"]


def swap_two_indices(answer: Answer) -> None:
    """Swap the indices of two pairs."""
    pairs = answer["pairs"]
    pairs[0]["index"], pairs[1]["index"] = pairs[1]["index"], pairs[0]["index"]


def drop_a_pair(answer: Answer) -> None:
    """Return one pair too few."""
    answer["pairs"].pop()


def break_an_image(answer: Answer) -> None:
    """Cut the end off an image."""
    image = answer["pairs"][3]["vae"]
    image["b64_json"] = image["b64_json"][:80]


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        (repeat_an_image, "distinct: images 0 and 2 of the stable_diffusion set are the same"),
        (swap_two_images, "metadata: image 0 of the vae set says seed "),
        (swap_two_seeds, "seed_alignment: pair 0 has seed "),
        (swap_two_indices, "index_alignment: pair 0 says index 1"),
        (drop_a_pair, "pairs_count: 3 pairs instead of 4"),
        (break_an_image, "decodable: image 3 of the vae set"),
    ],
)
def test_a_lie_is_named(service: Any, lie: Callable[[Answer], None], message: str) -> None:
    service.lie = lie
    code, output = run_locust(service.url, "--repeat-share", "0")
    assert code == 1, output
    assert message in output
    assert f"{message.split(':')[0]} 2" in output.split("Failed checks: ")[1].splitlines()[0]


def test_a_service_that_ignores_the_seed_is_named(
    service: Any, picture: Callable[..., str]
) -> None:
    def draw_anew(answer: Answer) -> None:
        digest = service.forms[-1]["image"]
        answer["pairs"][1]["vae"]["b64_json"] = picture(uuid.uuid4().hex, 8, digest=digest)

    service.lie = draw_anew
    code, output = run_locust(
        service.url, "--repeat-share", "1", "--same-parameters", "--iterations", "1"
    )
    assert code == 1, output
    assert "Failed checks: same_seed_same_pixels 1" in output
    assert "same_seed_same_pixels: image 1 of the vae set, seed 8, differs by" in output


def test_an_overload_is_a_failure_unless_accepted(service: Any) -> None:
    service.full_at = {1, 3}
    service.states_replicas = False
    code, output = run_locust(service.url, "--repeat-share", "0")
    assert code == 1, output
    assert "Failed checks: overloaded 1" in output
    assert "states no replicas" in output
    code, output = run_locust(service.url, "--repeat-share", "0", "--accept-overload")
    assert code == 0, output
    assert "/v1/pairs [429]" in output
    assert "(1 correct, 0 wrong or failed, 1 turned away as overloaded, 0 left" in output


def test_a_run_without_one_success_fails(service: Any) -> None:
    service.full_at = {1, 2}
    code, output = run_locust(service.url, "--accept-overload")
    assert code == 1, output
    assert "Failed checks: none" in output
    assert "no answer was correct" in output.split("Verdict: ")[1]


def test_a_service_that_goes_away_fails(service: Any) -> None:
    def go(_: Answer) -> None:
        service.breaks_off = True
        threading.Thread(target=service.close).start()

    service.lie = go
    code, output = run_locust(service.url)
    assert code == 1, output
    assert "Failed checks: no_answer 2" in output
    assert "Verdict: " in output
    assert "no answer was correct" in output


def test_an_interrupt_waits_for_answers_under_way(service: Any) -> None:
    service.delay_s = 0.3
    with subprocess.Popen(
        command(service.url), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        wait_until(lambda: len(service.forms) >= 3 and service.model_calls >= 3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "Traceback" not in output, output
    assert f"({len(service.forms)} correct, 0 wrong or failed" in output
    rows = [line.split()[2:] for line in output.split("changes only")[1].splitlines()[2:4]]
    assert rows == [["1/3", "1/1"], ["3/3", "1/1"]], output


def test_an_interrupt_ends_a_shape_as_well(service: Any) -> None:
    service.delay_s = 0.3
    shape = ("--shape", "staircase", "-u", "4", "-t", "60s")
    with subprocess.Popen(
        command(service.url, *shape),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        wait_until(lambda: len(service.forms) >= 3)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert "Traceback" not in output, output
    assert f"({len(service.forms)} correct, 0 wrong or failed" in output


def wait_until(holds: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Wait until a condition holds.

    Raises:
        TimeoutError: where it never does.
    """
    deadline_s = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"waited {timeout_s} s in vain")
        time.sleep(0.05)


def test_options_can_be_read_without_patching_the_process() -> None:
    # The others are Locust's own side.
    beside = {"__main__", "interruption", "locustfile", "loops", "run", "visits"}
    modules = {path.stem for path in (ROOT / "loadtests").glob("*.py")} - beside
    imports = "; ".join(f"import loadtests.{module}" for module in sorted(modules))
    code = f"import sys; {imports}; sys.exit('locust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_options_of_the_kit_can_be_listed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtests"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for option in ("--mix", "--shape", "--arrival-rate", "--objectives", "--out"):
        assert f"  {option} " in done.stdout


def test_a_request_that_the_end_of_the_run_cuts_off_is_no_failure(service: Any) -> None:
    def slow_down(_: Answer) -> None:
        service.delay_s = 30.0  # from the second request on

    service.lie = slow_down
    arguments = ("--iterations", "0", "-t", "2s", "--stop-timeout", "1", "--repeat-share", "0")
    code, output = run_locust(service.url, *arguments)
    assert "(1 correct, 0 wrong or failed" in output, output
    assert "1 cut off by the end of the run" in output
    assert code == 0, output


def test_the_end_of_a_run_waits_longer_than_the_services_own_deadline() -> None:
    lines = (ROOT / "loadtests" / "locust.conf").read_text().splitlines()
    (patience,) = [line.split("=")[1] for line in lines if line.startswith("stop-timeout")]
    for name in ("serve_config.yaml", "configs/demo.yaml", "configs/simulated.yaml"):
        config = yaml.safe_load((ROOT / name).read_text())
        deadline_s = config["applications"][0]["args"]["ingress"]["request_timeout_s"]
        assert float(patience) > deadline_s, name


@pytest.mark.parametrize("host", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_nobody_at_the_host_ends_the_run_before_it_begins(host: str) -> None:
    started = time.monotonic()
    code, output = run_locust(host, "-t", "30s")
    assert code == 1, output
    assert f"nobody answers at {host}" in output
    assert "met" not in output
    assert time.monotonic() - started < 15


def test_a_service_that_asks_for_a_key_is_told_of_before_the_run(service: Any) -> None:
    service.wants_key = True
    code, output = run_locust(service.url, "-t", "30s")
    assert code == 1, output
    assert "it asks for an API key; set TWINSET_API_KEY" in output
    assert service.forms == []


def test_what_was_not_measured_is_not_called_met(service: Any) -> None:
    code, output = run_locust(service.url)
    assert code == 0, output
    assert "Objective first_image_p95_s, at most 60: not measured" in output
    assert "Verdict: no objective missed, nothing wrong" in output


def test_a_wrong_option_is_refused(service: Any) -> None:
    code, output = run_locust(service.url, "--repeat-share", "2")
    assert code != 0
    assert "'2' is not a share from 0 to 1" in output
    assert service.forms == []
