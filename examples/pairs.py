"""Sends a face and writes the twenty images and their contact sheet into a folder.

python pairs.py face.jpg --seed 7 --strength 0.6
"""

import argparse
import io
import sys
import zipfile

import httpx

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("face", help="JPEG, PNG or WebP")
parser.add_argument("--url", default="http://127.0.0.1:8000")
parser.add_argument("--api-key", default="", help="where the service asks for one")
parser.add_argument("--out", default="pairs", help="folder to write into")
parser.add_argument("--seed", type=int)
parser.add_argument("--diversity-factor", type=float)
parser.add_argument("--strength", type=float)
parser.add_argument("--prompt")
arguments = parser.parse_args()

fields = {
    "seed": arguments.seed,
    "diversity_factor": arguments.diversity_factor,
    "strength": arguments.strength,
    "prompt": arguments.prompt,
}
headers = {"Accept": "application/zip"}
if arguments.api_key:
    headers["Authorization"] = f"Bearer {arguments.api_key}"
try:
    with open(arguments.face, "rb") as face:
        answer = httpx.post(
            f"{arguments.url}/v1/pairs",
            files={"image": face},
            data={name: value for name, value in fields.items() if value is not None},
            headers=headers,
            timeout=130,
        )
except OSError as error:
    sys.exit(f"cannot read {arguments.face}: {error.strerror}")
except httpx.HTTPError as error:
    sys.exit(f"cannot ask {arguments.url}: {error}")
if answer.status_code != 200:
    sys.exit(f"{answer.status_code}: {answer.json()['error']['message']}")
with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
    archive.extractall(arguments.out)
    print(f"{len(archive.namelist())} files in {arguments.out}/")
