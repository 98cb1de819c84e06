"""Shows the images of a face arriving: each line is an event of the stream.

python stream.py face.jpg
"""

import argparse
import base64
import json
import sys

import httpx

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("face", help="JPEG, PNG or WebP")
parser.add_argument("--url", default="http://127.0.0.1:8000")
parser.add_argument("--api-key", default="", help="where the service asks for one")
arguments = parser.parse_args()

headers = {"Accept": "text/event-stream"}
if arguments.api_key:
    headers["Authorization"] = f"Bearer {arguments.api_key}"
try:
    with (
        open(arguments.face, "rb") as face,
        httpx.stream(
            "POST",
            f"{arguments.url}/v1/pairs",
            files={"image": face},
            headers=headers,
            timeout=130,
        ) as answer,
    ):
        if answer.status_code != 200:
            answer.read()
            sys.exit(f"{answer.status_code}: {answer.json()['error']['message']}")
        for line in answer.iter_lines():
            if not line.startswith("data: "):
                continue  # the event's name stands in its data, too; ": ping" keeps it alive
            event = json.loads(line.removeprefix("data: "))
            if event["type"] == "progress":
                print(f"{event['role']}: step {event['step']} of {event['total']}")
            elif event["type"] == "image" and event["status"] == "ok":
                size = len(base64.b64decode(event["b64_json"]))
                print(
                    f"{event['role']}: image {event['index']}, seed {event['seed']}, {size} bytes"
                )
            elif event["type"] == "error":
                sys.exit(event["error"]["message"])
            elif event["type"] == "completed":
                for role, made in event["sets"].items():
                    print(f"{role}: {made['model']}, {made['metrics']}")
except OSError as error:
    sys.exit(f"cannot read {arguments.face}: {error.strerror}")
except httpx.HTTPError as error:
    sys.exit(f"cannot ask {arguments.url}: {error}")
