"""Leads one run: everything up, the floor, the repetitions, the probes."""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.comparison.job import TORCH_THREADS, demo_job
from benchmarks.side_by_side.arms import DIFFUSERS, TWINSET_HTTP
from benchmarks.side_by_side.conditions import conditions
from benchmarks.side_by_side.floor import best_of, measured_floor
from benchmarks.side_by_side.judging import References
from benchmarks.side_by_side.participants import Participants, participants
from benchmarks.side_by_side.probing import probe
from benchmarks.side_by_side.processes import idle_cpu_percent
from benchmarks.side_by_side.records import Burst, Floor, Probes, Run
from benchmarks.side_by_side.schedule import IMAGES, Schedule, warm_up_jobs
from benchmarks.side_by_side.telling import Telling

_IDLE_S = 10.0

Keep = Callable[[Run], None]


def measure(schedule: Schedule, keep: Keep) -> Run:
    """Measure everything; `keep` gets what there is after each repetition.

    Raises:
        RuntimeError: a process did not start or ended.
    """
    # Before anything runs beside: the tree may change while it is measured, the versions not.
    circumstances = conditions()
    settings = settings_of(schedule)
    with Telling(schedule.sets()) as telling, participants(schedule.arms, telling) as found:
        floors = [_floor(found, telling)]
        telling.say("looking at idle services")
        idle = idle_cpu_percent(found.pids(), 1.0 if schedule.is_smoke else _IDLE_S)
        bursts: list[Burst] = []
        for repetition in range(schedule.repetitions):
            bursts.extend(_repetition(schedule, repetition, found, telling))
            keep(Run(settings, circumstances, tuple(bursts), floors[0], None, idle))
        floors.append(_floor(found, telling))
        probes = _probes(found, telling)
    return Run(settings, circumstances, tuple(bursts), best_of(floors), probes, idle)


def settings_of(schedule: Schedule) -> dict[str, Any]:
    """Return the job and the way of measuring, for the file."""
    job = demo_job(tuple(range(IMAGES)))
    return {
        "prompt": job.prompt,
        "strength": job.strength,
        "guidance_scale": job.guidance_scale,
        "num_inference_steps": job.num_inference_steps,
        "images": IMAGES,
        "torch_threads": TORCH_THREADS,
        "arms": [arm.key for arm in schedule.arms],
        "clients": list(schedule.clients),
        "sets_each": {str(count): schedule.sets_each(count) for count in schedule.clients},
        "repetitions": schedule.repetitions,
        "is_smoke": schedule.is_smoke,
        "order_seed": schedule.seed,
    }


def _repetition(
    schedule: Schedule, repetition: int, found: Participants, telling: Telling
) -> Iterator[Burst]:
    telling.say("making the reference images")
    references: References = {
        job.seeds: found.reference(job) for job in schedule.references(repetition)
    }
    for task in schedule.tasks(repetition):
        telling.say(f"{repetition + 1}: {task.arm.title}, {task.clients}")
        jobs = schedule.jobs(repetition, task.clients)
        burst = found.burst(task, repetition, jobs, references)
        telling.advance(len(burst.sets))
        yield burst


def _floor(found: Participants, telling: Telling) -> Floor:
    telling.say("timing matrix products")
    said = found.children[DIFFUSERS.runs].ask(warm_up_jobs()[0].seeds)
    return measured_floor(said["unet_calls"])


def _probes(found: Participants, telling: Telling) -> Probes | None:
    service = found.services.get(TWINSET_HTTP.runs)
    if service is None:
        return None
    telling.say("timing parts of an answer")
    with found.awake(TWINSET_HTTP):
        (outcome,) = found.outcomes(TWINSET_HTTP, [warm_up_jobs()[:1]])
        if outcome.asked is None:
            telling.note(f"no parts of an answer: {outcome.problem}")
            return None
        return probe(service.url, outcome.asked.answer.images)
