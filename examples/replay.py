"""Makes an image again from what it says of itself, and says whether it is the same.

python replay.py vae-3-seed-10.png face.jpg
"""

import argparse
import base64
import hashlib
import io
import sys

import httpx
import numpy as np
from PIL import Image

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("image", help="an image that Twinset made")
parser.add_argument("input", help="the picture that it was made of")
parser.add_argument("--url", default="http://127.0.0.1:8000")
parser.add_argument("--api-key", default="", help="where the service asks for one")
arguments = parser.parse_args()


def ask(client: httpx.Client, route: str, picture: bytes, **fields: object) -> dict:
    """Send a picture and return the answer, or end with the service's sentence."""
    answer = client.post(route, files={"image": picture}, data=fields)
    if answer.status_code != 200:
        sys.exit(f"{route} answers {answer.status_code}: {answer.json()['error']['message']}")
    return answer.json()


def pixels(file: bytes) -> np.ndarray:
    """Decode an image to (H, W, 3) integers in [0, 255]."""
    return np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int)


headers = {"Authorization": f"Bearer {arguments.api_key}"} if arguments.api_key else {}
try:
    with open(arguments.image, "rb") as image, open(arguments.input, "rb") as face:
        original, picture = image.read(), face.read()
    with httpx.Client(base_url=arguments.url, timeout=130, headers=headers) as client:
        facts = ask(client, "/v1/inspect", original)
        if hashlib.sha256(picture).hexdigest() != facts["input"]["sha256"]:
            sys.exit(f"{arguments.input} is not the picture that {arguments.image} was made of")
        cards = {card["id"]: card for card in client.get("/v1/models").json()["data"]}
        if " + " in facts["model"]:
            sys.exit(f"{arguments.image} is a contact sheet: replay one of its images")
        if facts["model"] not in cards:
            sys.exit(f"this service does not serve {facts['model']}, but {', '.join(cards)}")
        card = cards[facts["model"]]
        if card["revision"] != facts["revision"]:
            print(f"the weights differ: {card['revision']} is served, it was {facts['revision']}")
        crop = facts["input"]["crop"]
        seeds = facts["parameters"]["seeds"]
        answer = ask(
            client,
            "/v1/pairs",
            picture,
            **facts["parameters"],
            models=card["role"],
            crop=f"{crop['x']},{crop['y']},{crop['side']}",
            output_format=Image.open(io.BytesIO(original)).format.lower(),
        )
except (OSError, httpx.HTTPError) as error:
    sys.exit(f"cannot replay: {error}")

again = base64.b64decode(answer["pairs"][seeds.index(facts["seed"])][card["role"]]["b64_json"])
if pixels(again).shape != pixels(original).shape:
    sys.exit(f"not the same: {arguments.image} was resized after it was made")
difference = int(np.abs(pixels(again) - pixels(original)).max())
if difference == 0:
    print(f"the same: every pixel of seed {facts['seed']} of {facts['model']}")
elif difference == 1:
    print("the same within one level of 255, as promised between machines and loads")
else:
    sys.exit(f"not the same: pixels differ by up to {difference} levels of 255")
