"""Uses Hugging Face's InferenceClient with Twinset's diffusion model.

python huggingface_client.py face.jpg
"""

import argparse
import sys

from huggingface_hub import InferenceClient
from PIL.PngImagePlugin import PngInfo

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("face", help="JPEG, PNG or WebP")
parser.add_argument("--url", default="http://127.0.0.1:8000")
# Not None: the client would send a token of the hub that it finds on this machine.
parser.add_argument("--api-key", default="none", help="where the service asks for one")
arguments = parser.parse_args()

client = InferenceClient(model=f"{arguments.url}/hf/image-to-image", token=arguments.api_key)
try:
    image = client.image_to_image(
        arguments.face, prompt="a portrait of a person with glasses", strength=0.7, seed=7
    )
except Exception as error:  # a refusal, or whatever its HTTP library raises
    sys.exit(str(error))
marking = PngInfo()  # the client decodes the file; what it says of itself is kept by hand
for name, text in image.text.items():
    marking.add_itxt(name, text)
image.save("huggingface-seed-7.png", pnginfo=marking)
print(f"huggingface-seed-7.png, {image.width}x{image.height}")
