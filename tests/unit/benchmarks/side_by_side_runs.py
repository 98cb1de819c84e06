"""Made-up runs of the comparison, with times that tests choose."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.side_by_side.arms import ARMS
from benchmarks.side_by_side.records import Burst, Floor, Memory, Probes, Run, SetRecord

REPETITIONS = 5
SET_S: Mapping[str, float] = {
    "notebook": 2.6,
    "diffusers": 1.7,
    "twinset": 1.3,
    "twinset_http": 1.35,
    "pair": 1.4,
    "pair_events": 1.4,
}
"""Seconds of one set where nobody else asks; other arms: 2.6 documented, 1.7 expert."""
CIRCUMSTANCES: Mapping[str, Any] = {
    "measured": "2026-01-02T03:04:05+00:00",
    "machine": {"processor": "a processor", "cores": 2, "memory_gib": 8.0},
    "versions": {"torch": "2.0", "ray": "3.0"},
    "commit": "0123456789ab",
}


def made_set(latency_s: float, **fields: Any) -> SetRecord:
    """Return a right set, unless `fields` say otherwise."""
    known = {"first_image_s": latency_s, "bytes_received": 200_000, "max_difference": 1}
    return SetRecord(latency_s, **{**known, **fields})


def made_burst(
    arm: str, clients: int, repetition: int, set_s: float, sets: Sequence[SetRecord] | None = None
) -> Burst:
    """Return a burst in which each set takes `set_s` of the machine and waits for the others."""
    encoder_calls = 10 if arm in ("notebook", "diffusers") else 1
    fields: dict[str, Any] = {"unet_calls": 14, "encoder_calls": encoder_calls}
    if arm == "twinset_http":
        fields["parts_ms"] = {"wait": 1.0, "model": 900 * set_s, "encode": 40.0}
    elif arm in ("notebook", "diffusers", "twinset"):
        fields["parts_ms"] = {"encode": 40.0, "encode_cpu": 70.0}
    made = sets if sets is not None else [
        made_set(clients * set_s, **fields) for _ in range(max(2, clients))
    ]  # fmt: skip
    memory = Memory(pss_mib=900.0, peak_rss_mib=1000.0 + repetition, processes=2)
    return Burst(arm, clients, repetition, set_s * len(made), tuple(made), 3.0, memory)


def made_run(
    set_s: Mapping[str, float] | None = None,
    bursts: Mapping[tuple[str, int], Sequence[Burst]] | None = None,
    **settings: Any,
) -> Run:
    """Return a whole run; `set_s` overrides times by arm, `bursts` whole cells of the table."""
    found: list[Burst] = []
    for arm in ARMS:
        usual = 1.7 if arm.form == "expert" else 2.6
        seconds = {**SET_S, **(set_s or {})}.get(arm.key, usual)
        for clients in (1, 4, 16) if arm.is_server and arm.form != "pair" else (1,):
            given = (bursts or {}).get((arm.key, clients))
            found += given or [
                made_burst(arm.key, clients, repetition, seconds + 0.01 * repetition)
                for repetition in range(REPETITIONS)
            ]
    return Run(
        settings={
            "is_smoke": False,
            "repetitions": REPETITIONS,
            "images": 10,
            "num_inference_steps": 20,
            "strength": 0.7,
            "guidance_scale": 2.0,
            "torch_threads": 2,
            **settings,
        },
        circumstances=CIRCUMSTANCES,
        bursts=tuple(found),
        floor=Floor({"unet": 3.5e11, "image decoder": 2e10}, {"matmul": 200.0, "conv": 370.0}),
        probes=Probes(livez_ms=4.0, read_picture_ms=6.0, read_answer_ms=1.0),
        idle_cpu_percent=20.0,
    )
