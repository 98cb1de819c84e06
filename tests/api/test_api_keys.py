"""Callers without a key, with a wrong one, with one of several; keys that come and go."""

import logging
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from deployments.api.key_file import today
from scripts.api_key import add_key
from tests.support.in_process import answering
from tests.support.services import changed_config, post_pairs, read_events

PROTECTED = [
    ("GET", "/v1/models"),
    ("POST", "/v1/pairs"),
    ("POST", "/v1/sweep"),
    ("POST", "/v1/inspect"),
    ("POST", "/v1/images/edits"),
    ("POST", "/v1/images/variations"),
    ("POST", "/sdapi/v1/img2img"),
    ("POST", "/hf/image-to-image"),
]
PER_MINUTE = 120
OPEN = ["/livez", "/readyz", "/", "/docs", "/openapi.json"]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path, list[str]]]:
    """Return the URL of a simulated service, its file of keys, and two keys in it."""
    directory = tmp_path_factory.mktemp("keys")
    file = directory / "api-keys"
    keys = [add_key(file, "alice"), add_key(file, "bob")]

    def change(application: dict[str, Any]) -> None:
        application["args"]["api_keys_file"] = str(file)
        application["args"]["ingress"]["requests_per_minute_per_key"] = PER_MINUTE

    with answering(changed_config(directory, "simulated.yaml", change), num_gpus=1) as client:
        yield str(client.base_url), file, keys


def _client(url: str, key: str | None) -> httpx.Client:
    headers = {} if key is None else {"authorization": key}
    return httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False)


def test_the_file_holds_no_key(keyed: tuple[str, Path, list[str]]) -> None:
    _, file, keys = keyed
    assert file.stat().st_mode & 0o077 == 0
    for key in keys:
        assert len(key) > 40
        assert key not in file.read_text()
        assert key.removeprefix("twinset-") not in file.read_text()


@pytest.mark.parametrize(("method", "route"), PROTECTED)
def test_no_route_serves_a_stranger(
    keyed: tuple[str, Path, list[str]], method: str, route: str
) -> None:
    url, _, keys = keyed
    wrong = [None, "Bearer nonsense", f"Bearer {keys[0][:-1]}", keys[0], f"Basic {keys[0]}", ""]
    for key in wrong:
        with _client(url, key) as client:
            response = client.request(method, route)
            assert response.status_code == 401, (route, key)
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["error"]["code"] == "invalid_api_key"
            assert "nonsense" not in response.text
    for key in keys:
        with _client(url, f"Bearer {key}") as client:
            assert client.request(method, route).status_code != 401


def test_what_shows_nothing_private_is_open(keyed: tuple[str, Path, list[str]]) -> None:
    with _client(keyed[0], None) as client:
        for route in OPEN:
            assert client.get(route).status_code == 200, route


def test_a_stranger_is_told_before_the_picture_is_read(
    keyed: tuple[str, Path, list[str]], face: bytes
) -> None:
    with _client(keyed[0], None) as client:
        assert post_pairs(client, bytes(25_000_000)).status_code == 401
        assert post_pairs(client, face).status_code == 401


@pytest.mark.heavy
def test_a_key_is_revoked_and_added_without_a_restart(
    keyed: tuple[str, Path, list[str]], face: bytes
) -> None:
    url, file, keys = keyed
    before = file.read_text()
    try:
        new = add_key(file, "carol")
        with _client(url, f"Bearer {new}") as client:
            assert post_pairs(client, face, n=1).status_code == 200
        file.write_text("\n".join(before.splitlines()[1:]) + "\n")
        with _client(url, f"Bearer {keys[0]}") as client:
            assert post_pairs(client, face, n=1).status_code == 401
        with _client(url, f"Bearer {keys[1]}") as client:
            assert post_pairs(client, face, n=1).status_code == 200
        for broken in ("what is this\n", "# nobody\n", None):  # nobody is let in by a broken file
            file.unlink() if broken is None else file.write_text(broken)
            for key in (keys[1], new):
                with _client(url, f"Bearer {key}") as client:
                    assert post_pairs(client, face, n=1).status_code == 401, broken
            file.write_text(before)
            with _client(url, f"Bearer {keys[1]}") as client:
                assert post_pairs(client, face, n=1).status_code == 200
    finally:
        file.write_text(before)
        file.chmod(0o600)  # it was made anew


@pytest.mark.heavy
def test_the_work_of_a_revoked_key_runs_to_its_end_and_no_other_begins(
    keyed: tuple[str, Path, list[str]], face: bytes
) -> None:
    url, file, keys = keyed
    before = file.read_text()
    arguments: dict[str, Any] = {
        "files": {"image": ("face.png", face)},
        "data": {"n": "2", "num_inference_steps": "150", "strength": "1"},
    }
    answers: list[httpx.Response] = []

    def ask() -> None:
        with _client(url, f"Bearer {keys[0]}") as other:
            answers.append(other.post("/v1/pairs", **arguments))

    caller = threading.Thread(target=ask)
    try:
        with (
            _client(url, f"Bearer {keys[0]}") as client,
            client.stream(
                "POST", "/v1/pairs", headers={"accept": "text/event-stream"}, **arguments
            ) as stream,
        ):
            lines = stream.iter_lines()
            next(lines)
            caller.start()
            time.sleep(0.5)
            file.write_text(before.split("\n", 1)[1])
            with _client(url, f"Bearer {keys[0]}") as late:
                assert post_pairs(late, face, n=1).status_code == 401
            assert caller.is_alive()
            names = [name for name, _ in read_events(lines)]
        caller.join(timeout=60)
    finally:
        file.write_text(before)
    assert names[-1] == "completed"
    assert names.count("image") == 4
    assert [one.status_code for one in answers] == [200]
    assert len(answers[0].json()["pairs"]) == 2


def test_an_expired_key_is_told_so(
    keyed: tuple[str, Path, list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    url, file, _ = keyed
    yesterday = today() - timedelta(days=1)
    expired, lasting = add_key(file, "dora", yesterday), add_key(file, "emil", today())
    with caplog.at_level(logging.INFO, logger="ray.serve"):
        with _client(url, f"Bearer {expired}") as client:
            refused = client.get("/v1/models")
        with _client(url, f"Bearer {lasting}") as client:
            assert client.get("/v1/models").status_code == 200
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    error = refused.json()["error"]
    assert error["code"] == "invalid_api_key"
    assert f"the API key has expired: its last day was {yesterday}" in error["message"]
    assert "key dora, GET /v1/models 401" in caplog.text


def test_each_use_of_a_key_leaves_a_line_with_its_name_and_none_of_its_content(
    keyed: tuple[str, Path, list[str]], face: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    url, _, keys = keyed
    data = {"n": "1", "prompt": "zanzibar quokka", "seed": "31415926"}
    with caplog.at_level(logging.INFO, logger="ray.serve"):
        with _client(url, f"Bearer {keys[0]}") as client:
            answer = post_pairs(client, face, **data)
            assert client.post("/v1/inspect", json={}).status_code == 400
            assert client.get("/livez").status_code == 200
        with _client(url, "Bearer nonsense") as client:
            assert client.get("/v1/models").status_code == 401
    lines = [one.getMessage() for one in caplog.records if one.getMessage().startswith("key ")]
    assert lines[0] == f"key alice, POST /v1/pairs 200, request_id {answer.headers['x-request-id']}"
    assert [line.partition(", request_id")[0] for line in lines] == [
        "key alice, POST /v1/pairs 200",
        "key alice, POST /v1/inspect 400",
    ]
    assert not any(one in caplog.text for one in ("quokka", "31415926", "nonsense", keys[0]))


def test_what_is_served_is_stored_nowhere(keyed: tuple[str, Path, list[str]]) -> None:
    url, _, keys = keyed
    with _client(url, f"Bearer {keys[0]}") as client:
        assert client.get("/v1/models").headers["cache-control"] == "no-store"


@pytest.mark.heavy
def test_openai_raises_for_a_wrong_key(keyed: tuple[str, Path, list[str]], face: bytes) -> None:
    url, _, keys = keyed
    stranger = openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        stranger.images.edit(image=face, prompt="x")
    assert caught.value.code == "invalid_api_key"
    alice = openai.OpenAI(base_url=f"{url}/v1", api_key=keys[0], max_retries=0)
    answer = alice.images.edit(image=face, prompt="x")
    assert answer.data is not None


@pytest.mark.slow
def test_a_service_without_its_file_of_keys_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "empty").touch(mode=0o600)

    def change(application: dict[str, Any]) -> None:
        application["args"]["api_keys_file"] = str(tmp_path / "empty")

    config = changed_config(tmp_path, "simulated.yaml", change)
    with pytest.raises(RuntimeError, match="holds no key"), answering(config, num_gpus=1):
        pass


@pytest.mark.heavy
def test_a_key_that_comes_too_often_waits_and_the_others_do_not(
    keyed: tuple[str, Path, list[str]], face: bytes
) -> None:
    url, file, keys = keyed
    with _client(url, f"Bearer {add_key(file, 'hasty')}") as hasty:
        answers = [hasty.post("/v1/inspect", json={}) for _ in range(2 * PER_MINUTE)]
        refused = [one for one in answers if one.status_code == 429]
        assert {one.status_code for one in answers} == {400, 429}
        # A minute's worth may come at once, and as many more as the time allows.
        assert PER_MINUTE <= len(answers) - len(refused) < 1.5 * PER_MINUTE
        assert refused[-1].json()["error"]["code"] == "key_limit_exceeded"
        assert refused[-1].headers["retry-after"] == "1"
    with _client(url, f"Bearer {keys[1]}") as other:
        assert post_pairs(other, face, n=1).status_code == 200
