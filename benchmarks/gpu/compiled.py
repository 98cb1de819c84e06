"""A set of ten, eager and compiled, in turns; what the part `start` compiled is found again."""

from benchmarks.gpu.clock import Clock
from benchmarks.gpu.parts import CheckSetting, Tell
from benchmarks.gpu.race import Race
from benchmarks.gpu.start import cache_of
from benchmarks.gpu.variant import Variant
from benchmarks.gpu.weights import model_of
from models.stable_diffusion.compilation import check_toolchain, keep_compiled


def run(setting: CheckSetting, tell: Tell) -> None:
    """Time both arms; raises ValueError where nothing can be compiled."""
    check_toolchain(setting.device)
    keep_compiled(str(cache_of(setting)))
    arms = {
        "eager": Variant("ours"),
        "compiled": Variant("ours", channels_last=True, compile="default"),
    }
    model = model_of(setting, tell)
    Race(arms, model, Clock(setting.device)).run("eager", tell)
