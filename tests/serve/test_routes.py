"""Each route once through a real Ray: the same answer as the same application gives in process."""

from collections.abc import Iterator

import httpx
import pytest

from tests.support.in_process import answering
from tests.support.same_answers import Question, answer_to, questions
from tests.support.services import ROOT


def _first_of_each_route() -> Iterator[Question]:
    seen = set()
    for question in questions():
        _, method, path, arguments = question
        kind = (method, path, arguments.get("headers", {}).get("Accept"))
        if "?" not in path and kind not in seen:
            seen.add(kind)
            yield question


QUESTIONS = list(_first_of_each_route())


@pytest.fixture(scope="module")
def in_process() -> Iterator[httpx.Client]:
    with answering(ROOT / "configs" / "demo.yaml") as client:
        yield client


@pytest.mark.parametrize("question", QUESTIONS, ids=[name for name, *_ in QUESTIONS])
def test_a_route_answers_through_ray_as_it_does_in_process(
    demo: httpx.Client, in_process: httpx.Client, question: Question
) -> None:
    _, *asked = question
    answer = answer_to(demo, *asked)
    assert answer == answer_to(in_process, *asked)
    assert answer["status"] < 500


def test_every_route_of_images_is_asked() -> None:
    from deployments.api.dialects import routers

    routes = {route.path for router in routers() for route in router.routes}  # type: ignore[attr-defined]
    assert routes <= {path for _, _, path, _ in QUESTIONS}
