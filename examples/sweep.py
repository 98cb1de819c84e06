"""Sweep the VAE's diversity factor over one face: a table of numbers, a folder of images each.

Needs nothing but httpx and a running Twinset:

    python examples/sweep.py face.jpg --url http://127.0.0.1:8000 --out sweep
"""

import argparse
import base64
import sys
from pathlib import Path
from typing import Any

import httpx


def main() -> None:
    """Parse the command line, ask, print, save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("face", type=Path, help="JPEG, PNG or WebP")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of a running Twinset")
    parser.add_argument("--out", type=Path, default=Path("sweep"), help="folder for the images")
    parser.add_argument("--factors", default="1,2,3,4,5,6,7,8,9,10", help="at most 12, each 0-10")
    parser.add_argument("--seed", type=int, default=7, help="image k gets seed + k")
    parser.add_argument("--api-key", help="where the service wants one")
    arguments = parser.parse_args()
    try:
        answer = ask(arguments)
        print("factor  diversity  distance  sharpness")
        for made in answer["sets"]:
            factor, metrics = made["diversity_factor"], made["metrics"]
            print(
                f"{factor:>6g}  {metrics['pairwise_rmse']:>9.4f}  {metrics['input_rmse']:>8.4f}"
                f"  {metrics['laplacian_variance']:>9.6f}"
            )
            save(made["images"], arguments.out / f"factor-{factor:g}")
    except OSError as error:
        sys.exit(f"{error.filename}: {error.strerror}")
    print(f"images in {arguments.out}/")


def ask(arguments: argparse.Namespace) -> dict[str, Any]:
    """Send the face to `/v1/sweep`; return the answer, or end with a sentence."""
    key = arguments.api_key
    try:
        reply = httpx.post(
            f"{arguments.url.rstrip('/')}/v1/sweep",
            files={"image": (arguments.face.name, arguments.face.read_bytes())},
            data={"diversity_factors": arguments.factors, "seed": str(arguments.seed)},
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=150,
        )
        answer: dict[str, Any] = reply.json()
        refusal = answer["error"]["message"] if reply.is_error else ""  # always of this form
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        sys.exit(f"no answer from {arguments.url}: {error}; is it running? (make serve)")
    except (ValueError, KeyError, TypeError):
        sys.exit(f"what answers at {arguments.url} is no Twinset")
    if refusal:
        sys.exit(f"the service says: {refusal}")
    return answer


def save(images: list[dict[str, Any]], folder: Path) -> None:
    """Write the images of one factor into a folder, named by their seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    for image in images:
        if image["status"] == "ok":
            file = folder / f"seed-{image['seed']}.{image['format']}"
            file.write_bytes(base64.b64decode(image["b64_json"]))


if __name__ == "__main__":
    main()
