"""Whose turn it is, and turns at a number of places."""

import asyncio

import pytest

from deployments.turns import FairOrder, Turns


def _served(order: FairOrder, waiting: dict[str, list[float]], count: int) -> str:
    names = ""
    for _ in range(count):
        name = order.next(caller for caller, costs in waiting.items() if costs)
        order.charge(name, waiting[name].pop(0))
        names += name
    return names


def test_callers_come_in_turn_however_many_requests_one_has() -> None:
    assert _served(FairOrder(), {"a": [1.0] * 9, "b": [1.0] * 3}, 8) == "abababaa"


def test_who_asks_for_more_comes_less_often() -> None:
    names = _served(FairOrder(), {"a": [3.0] * 4, "b": [1.0] * 12}, 12)
    assert names.count("b") == 3 * names.count("a")


def test_who_comes_late_is_next_and_has_saved_up_nothing() -> None:
    order = FairOrder()
    assert _served(order, {"a": [1.0] * 50}, 50) == "a" * 50
    assert _served(order, {"a": [1.0] * 9, "b": [1.0] * 9}, 6) in ("bababa", "babbab", "bbabab")


def test_nobody_waits() -> None:
    with pytest.raises(ValueError):
        FairOrder().next([])


async def _finished(order: list[str], places: int, leaving: str = "") -> list[str]:
    turns, finished = Turns(places), list[str]()

    async def one(name: str) -> None:
        async with turns.turn(name[0], 1.0):
            await asyncio.sleep(0.01)
            finished.append(name)

    tasks = {name: asyncio.create_task(one(name)) for name in order}
    await asyncio.sleep(0.001)
    for name, task in tasks.items():
        if leaving and name.startswith(leaving):
            task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    async with asyncio.timeout(1):  # no place was lost
        for _ in range(places):
            await asyncio.create_task(one("z"))
    return finished[:-places]


def test_a_callers_first_request_does_not_wait_for_all_of_anothers() -> None:
    order = [f"a{number}" for number in range(6)] + ["b0"]
    assert asyncio.run(_finished(order, 1)) == ["a0", "b0", "a1", "a2", "a3", "a4", "a5"]
    assert asyncio.run(_finished(order, 2)).index("b0") == 2


def test_those_who_leave_take_no_turn() -> None:
    order = ["a0", "b0", "a1", "b1"]
    assert asyncio.run(_finished(order, 1, leaving="b")) == ["a0", "a1"]
    assert asyncio.run(_finished(order, 1, leaving="a0")) == ["b0", "a1", "b1"]


def test_who_leaves_in_the_moment_of_the_turn_stops_nobody() -> None:
    async def scene() -> None:
        turns = Turns(1)
        first = turns.turn("a", 1.0)
        await first.__aenter__()
        second = asyncio.create_task(turns.turn("b", 1.0).__aenter__())
        await asyncio.sleep(0)
        second.cancel()  # it does not know yet
        await first.__aexit__(None, None, None)
        async with asyncio.timeout(1), turns.turn("c", 1.0):
            pass

    asyncio.run(scene())


def test_a_place_that_was_given_to_one_who_leaves_is_passed_on() -> None:
    async def scene() -> None:
        turns = Turns(1)
        first = turns.turn("a", 1.0)
        await first.__aenter__()
        second = asyncio.create_task(turns.turn("b", 1.0).__aenter__())
        await asyncio.sleep(0)
        await first.__aexit__(None, None, None)  # the second has the place, and does not know
        second.cancel()
        await asyncio.sleep(0)
        async with asyncio.timeout(1), turns.turn("c", 1.0):
            pass

    asyncio.run(scene())


def test_where_costs_are_times_who_took_long_comes_later() -> None:
    async def scene() -> str:
        turns, served = Turns(1, is_timed=True), list[str]()

        async def one(name: str, taken_s: float) -> None:
            async with turns.turn(name, 0.001):
                await asyncio.sleep(taken_s)
                served.append(name)

        tasks = [one("slow", 0.1) for _ in range(6)] + [one("quick", 0.01) for _ in range(6)]
        await asyncio.gather(*tasks)
        return "".join(name[0] for name in served)

    served = asyncio.run(scene())
    assert served.rindex("q") <= 7, served  # all quick ones before the third of the slow ones
