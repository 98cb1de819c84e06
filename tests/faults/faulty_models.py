"""Model factories that hang, as users' models hang; configs of tests name them."""

import time
from pathlib import Path
from typing import Any

from models.interfaces import StepCallback, ignore_steps
from models.simulated import SimulatedModel, TimeLaw, load_simulated_diffusion

STALLING_SEED = 666
_FOR_EVER_S = 600.0


class _Stalling(SimulatedModel):
    """Hangs in its third step, once in the life of a file, for a set that has a certain seed."""

    def __init__(self, seen: Path, law: TimeLaw) -> None:
        super().__init__(load_simulated_diffusion().info, law)
        self._seen = seen

    def generate(
        self, image: Any, seeds: Any, parameters: Any, on_step: StepCallback = ignore_steps
    ) -> Any:
        def on_stalling_step(step: int, total: int) -> None:
            on_step(step, total)
            if step == 3 and STALLING_SEED in seeds and not self._seen.exists():
                self._seen.touch()
                time.sleep(_FOR_EVER_S)

        return super().generate(image, seeds, parameters, on_stalling_step)


def load_stalling_diffusion(seen: str) -> SimulatedModel:
    """Build a simulated diffusion model that hangs once."""
    return _Stalling(Path(seen), TimeLaw(fixed_s=0, step_s=0.02, image_step_s=0))
