"""Made sets to one zip file: the images, the contact sheet and a manifest."""

import json
import zipfile
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from deployments.api.answers.contact_sheet import contact_sheet
from deployments.api.answers.json import pair_answer
from deployments.jobs import MadeSet, Outcome, PairJob
from models.roles import Role

MANIFEST = "manifest.json"
SHEET = "contact-sheet.png"


def archive(job: PairJob, outcomes: Mapping[Role, Outcome]) -> bytes:
    """Return a zip file of the images, named by role, place and seed; the input is not in it.

    The manifest is the JSON answer with the name of each file (`file`) in place of its content.
    """
    buffer = BytesIO()
    # Stored: the images are compressed already.
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as target:
        for role, outcome in outcomes.items():
            if isinstance(outcome, MadeSet):
                for index, file in enumerate(outcome.result.images):
                    if file is not None:
                        _add(target, _name(job, role, index), file)
        _add(target, SHEET, contact_sheet(job, outcomes))
        _add(target, MANIFEST, _manifest(job, outcomes))
    return buffer.getvalue()


def _name(job: PairJob, role: Role, index: int) -> str:
    return f"{role}/{index:02d}-seed-{job.seeds[index]}.{job.output_format}"


def _manifest(job: PairJob, outcomes: Mapping[Role, Outcome]) -> bytes:
    manifest: dict[str, Any] = pair_answer(job, outcomes).model_dump(
        mode="json", exclude_unset=True
    )
    for pair in manifest["pairs"]:
        for role in outcomes:
            if pair[role].pop("b64_json", None) is not None:
                pair[role]["file"] = _name(job, role, pair["index"])
    return json.dumps(manifest, indent=2, ensure_ascii=False).encode()


def _add(target: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed time, zip's earliest: files hold no time.
    entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    entry.external_attr = 0o644 << 16
    target.writestr(entry, content)
