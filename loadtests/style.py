"""Colours of the picture and words on its axes."""

from __future__ import annotations

GROUND, INK, SOFT, RULE = "#fcfcfb", "#1a1a19", "#5c5c58", "#e6e5e1"
VAE, DIFFUSION = "#2f5d86", "#b8501f"
GOOD, BAD = "#2e6b3e", "#b3261e"
HIGH = "#7d5a9b"

STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400)
MOST_TICKS = 13


def duration_ticks(duration_s: float) -> tuple[list[float], list[str]]:
    """Return round moments of a run and how they are written."""
    step_s = next((one for one in STEPS_S if duration_s / one <= MOST_TICKS), STEPS_S[-1])
    moments = [float(index * step_s) for index in range(int(duration_s // step_s) + 1)]
    return moments, [write_duration(moment) for moment in moments]


def write_duration(seconds: float) -> str:
    """Return seconds as people say them: 45 s, 2:30 min, 1:05 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        minutes, rest = divmod(whole, 60)
        return f"{minutes}:{rest:02d} min" if rest else f"{minutes} min"
    hours, rest = divmod(whole // 60, 60)
    return f"{hours}:{rest:02d} h" if rest else f"{hours} h"
