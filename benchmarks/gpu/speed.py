"""A set of ten: a notebook's loop, diffusers' one call, and ours with what can be turned."""

from benchmarks.gpu.clock import Clock
from benchmarks.gpu.parts import CheckSetting, Tell
from benchmarks.gpu.race import Race
from benchmarks.gpu.variant import Variant
from benchmarks.gpu.weights import model_of


def run(setting: CheckSetting, tell: Tell) -> None:
    """Time the arms in turns."""
    workload = setting.workload
    arms = {
        "diffusers": Variant("diffusers"),
        "eager": Variant("ours"),
        "notebook": Variant("notebook", repetitions=1),
        "channels_last": Variant("ours", channels_last=True),
        "cudnn first": Variant("ours", attention="cudnn first"),
        "without cudnn": Variant("ours", attention="without cudnn"),
        "half a set": Variant("ours", images=workload.half_images),
        "one image": Variant("ours", images=1),
    }
    model = model_of(setting, tell)
    Race(arms, model, Clock(setting.device)).run("diffusers", tell)
