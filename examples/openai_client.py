"""Uses OpenAI's SDK (`pip install openai`) with Twinset: edits, as a list and as a stream.

python openai_client.py face.jpg
"""

import argparse
import base64
import sys

import openai

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("face", help="JPEG, PNG or WebP")
parser.add_argument("--url", default="http://127.0.0.1:8000")
parser.add_argument("--api-key", default="none", help="where the service asks for one")
arguments = parser.parse_args()

client = openai.OpenAI(base_url=f"{arguments.url}/v1", api_key=arguments.api_key)
try:
    with open(arguments.face, "rb") as face:
        edited = client.images.edit(
            image=face,
            prompt="a portrait of a person with glasses",
            n=2,
            extra_body={"seed": 7, "strength": 0.7},
        )
    for image in edited.data:
        with open(f"edit-seed-{image.seed}.png", "wb") as file:
            file.write(base64.b64decode(image.b64_json))
        print(f"edit-seed-{image.seed}.png by {edited.model}")

    with open(arguments.face, "rb") as face:
        stream = client.images.edit(image=face, prompt="a smiling person", n=2, stream=True)
        for event in stream:
            print(event.type, event.seed, event.size)
except (OSError, openai.OpenAIError) as error:
    sys.exit(str(error))
