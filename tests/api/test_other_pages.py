"""Without keys, other pages of the same browser can neither send requests nor read answers."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.in_process import answering
from tests.support.services import ROOT, changed_config, post_pairs

ELSEWHERE = {"origin": "http://evil.example", "sec-fetch-site": "cross-site"}


def _change(application: dict[str, Any]) -> None:
    arguments = application["args"]
    arguments.pop("api_keys_file", None)
    arguments |= {"allow_anonymous": True, "anonymous_hosts": ["Studio.lan"]}


@pytest.fixture(scope="module")
def anonymous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    config = changed_config(tmp_path_factory.mktemp("open"), "simulated.yaml", _change)
    with answering(config) as client:
        yield client


def _host(client: httpx.Client) -> str:
    return f"{client.base_url.host}:{client.base_url.port}"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.0.0.1:8000", "127.8.9.10:80", "localhost:8000", "LOCALHOST."),
        *("demo.localhost:1", "[::1]:8000", "[::ffff:127.0.0.1]", "studio.lan:8000"),
    ],
)
def test_names_of_this_machine_are_answered(anonymous: httpx.Client, host: str) -> None:
    assert anonymous.get("/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *(
            "evil.example",
            "127.0.0.1.evil.example:8000",
            "localhost.evil.example",
            "evil-localhost",
        ),
        *("10.0.0.1", "0.0.0.0:8000", "[::]", "[::1", "127.0.0.1:8000:1", "a@127.0.0.1", "", "1"),
        *("127.0.0.1 evil.example", "localhost/evil", "studio.lan.evil.example", "[fe80::1]"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/v1/models", "/web/page.js", "/livez", "/nothing"])
def test_other_names_are_refused_on_every_path(
    anonymous: httpx.Client, host: str, path: str
) -> None:
    response = anonymous.get(path, headers={"host": host})
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "forbidden"
    assert "anonymous_hosts" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "headers",
    [
        ELSEWHERE,
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},  # another program's page on this machine
        {"origin": "http://localhost:{port}"},  # reached by another name: not the same page
        {"origin": "ftp://{host}"},
        {"origin": "http://{host}.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
)
def test_what_another_page_sends_is_refused(
    anonymous: httpx.Client, small_face: bytes, headers: dict[str, str]
) -> None:
    host = _host(anonymous)
    sent = {name: text.format(host=host, port=host.split(":")[1]) for name, text in headers.items()}
    files = {"image": ("face.png", small_face)}
    for path in ("/v1/pairs", "/v1/inspect", "/sdapi/v1/img2img", "/hf/image-to-image"):
        response = anonymous.post(path, files=files, headers=sent)
        assert response.status_code == 403, (path, response.text)
        assert "access-control-allow-origin" not in response.headers


def test_a_link_from_elsewhere_opens_the_page(anonymous: httpx.Client) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert anonymous.get("/", headers=headers).status_code == 200
    assert anonymous.get("/v1/models", headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_its_own_page_and_programs_are_answered(anonymous: httpx.Client, small_face: bytes) -> None:
    own = {"origin": f"http://{_host(anonymous)}", "sec-fetch-site": "same-origin"}
    for headers in (own, {}, {"sec-fetch-site": "none"}):
        client = httpx.Client(base_url=anonymous.base_url, headers=headers, trust_env=False)
        with client:
            assert post_pairs(client, small_face, n=1, models="vae").status_code == 200


def test_where_keys_are_asked_for_the_name_does_not_matter(
    simulated: httpx.Client,
) -> None:
    response = simulated.get("/v1/models", headers={"host": "twinset.example", **ELSEWHERE})
    assert response.status_code == 200


def test_the_demo_asks_for_no_key_and_is_closed_to_other_pages() -> None:
    with answering(ROOT / "configs" / "demo.yaml") as demo:
        assert demo.get("/v1/models").status_code == 200
        assert demo.get("/v1/models", headers={"host": "evil.example"}).status_code == 403
