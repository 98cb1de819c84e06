"""What the README tells people to paste works."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.services import ROOT

README = (ROOT / "README.md").read_text()


@pytest.mark.heavy
def test_the_python_example_runs(
    demo: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "models").symlink_to(ROOT / "models")
    monkeypatch.chdir(tmp_path)
    address = str(demo.base_url).rstrip("/")
    exec(example.replace("http://127.0.0.1:8000", address), {})
    assert len(list(tmp_path.glob("*.png"))) == 20


@pytest.mark.heavy
@pytest.mark.parametrize(
    "document", ["README.md", pytest.param("docs/deploying.md", marks=pytest.mark.slow)]
)
def test_the_curl_example_runs_from_a_checkout(
    demo: httpx.Client, tmp_path: Path, document: str
) -> None:
    text = (ROOT / document).read_text().replace("\\\n", "")
    (example,) = re.findall(r"^curl .*/v1/pairs -o pairs\.json$", text, flags=re.MULTILINE)
    command = example.replace("http://127.0.0.1:8000", str(demo.base_url).rstrip("/"))
    command = command.replace("-o pairs.json", f"-o {tmp_path}/pairs.json --noproxy '*' --fail")
    subprocess.run(["bash", "-c", command], cwd=ROOT, check=True, capture_output=True, timeout=60)
    assert len(json.loads((tmp_path / "pairs.json").read_text())["pairs"]) == 10


def test_every_field_stands_in_the_table(demo: httpx.Client) -> None:
    body = demo.get("/openapi.json").json()["paths"]["/v1/pairs"]["post"]["requestBody"]
    for name in body["content"]["multipart/form-data"]["schema"]["properties"]:
        assert f"`{name}`" in README, name


def test_every_make_target_that_it_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`?make ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
