"""What a visitor would lose to a crowd, or to one who asks for more than a machine can give: their turn."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from browser import FILM, ask, revision

from gan_demo import film
from gan_demo.errors import GanDemoError
from gan_demo.ui import endpoints, pictures
from gan_demo.ui.library import Library
from gan_demo.ui.page import build
from gan_demo.ui.pictures import FILES
from gan_demo.ui.query import Query
from gan_demo.ui.turns import TooManyError, Turns, visitor


def test_everyone_has_a_turn_and_nobody_a_line_without_an_end():
    async def crowd() -> tuple[list[str], list[str]]:
        turns, painted, begin = Turns(at_once=1, each=5, together=9), [], asyncio.Event()

        async def ask_for(visitor: str) -> None:
            async with turns.turn(visitor):
                await begin.wait()
                painted.append(visitor)

        asked = [
            asyncio.create_task(ask_for(name)) for name in (*["greedy"] * 6, "one", "two", "three", "gone", "four")
        ]
        await asyncio.sleep(0.01)
        asked[-2].cancel()
        begin.set()
        ends = await asyncio.gather(*asked, return_exceptions=True)
        await ask_for("later")
        assert not turns._inside and not turns._lines and turns._free == 1
        return painted, [str(end) for end in ends if isinstance(end, TooManyError)]

    with ThreadPoolExecutor(1) as pool:  # this thread may have the browser's loop
        painted, told = pool.submit(asyncio.run, crowd()).result()
    assert painted == ["greedy", "greedy", "one", "two", "three", "greedy", "greedy", "greedy", "later"]
    assert told == [
        "5 pictures are on their way to you already: ask again when some have come",
        "9 pictures are waiting to be painted here: try again in a moment",
    ]


def test_a_space_s_proxy_is_believed_and_no_stranger(monkeypatch):
    """Who has turns of their own: else all of a Space share one's, or anyone has as many as they make up."""

    def told_apart() -> bool:
        asked = [{"x-forwarded-for": "10.0.0.1"}, {"x-forwarded-for": "10.0.0.2"}]
        proxy = SimpleNamespace(host="10.1.1.1")
        return len({visitor(SimpleNamespace(client=proxy, headers=headers)) for headers in asked}) == 2

    monkeypatch.delenv("SPACE_ID", raising=False)
    assert not told_apart()
    monkeypatch.setenv("SPACE_ID", "me/space")
    assert told_apart()


def test_one_who_asks_for_two_hundred_pictures_is_told_the_limit_and_another_does_not_notice(app):
    """Addresses as a proxy on this machine would tell them."""
    path = f"{FILM}/a-plain/{revision(app, 'a-plain')}/grid.png?tiles=4&seed="
    answers: list[tuple[int, float, bytes]] = []

    def greedy(seed: int) -> None:
        status, _, body = ask(app, f"{path}{seed}", **{"X-Forwarded-For": "10.0.0.1"})
        answers.append((status, time.monotonic(), body))

    crowd = [threading.Thread(target=greedy, args=(70_000 + 50 * index,)) for index in range(200)]
    for one in crowd:
        one.start()
    while not any(status == 429 for status, _, _ in answers):
        assert any(one.is_alive() for one in crowd), "nothing was refused"
        time.sleep(0.01)
    status, _, _ = ask(app, f"{path}90001", **{"X-Forwarded-For": "10.0.0.2"})
    served = time.monotonic()
    for one in crowd:
        one.join()
    refused = [json.loads(body)["error"] for status, _, body in answers if status == 429]
    painted = [moment for status, moment, _ in answers if status == 200]
    assert status == 200 and len(refused) + len(painted) == 200 and len(painted) >= 100
    assert set(refused) == {"100 pictures are on their way to you already: ask again when some have come"}
    later = sum(moment > served for moment in painted)
    assert later > 10, f"only {later} of {len(painted)} pictures came after the other visitor's"


def answer_of(endpoint):
    """What an endpoint answers nobody in particular; in a thread, for Playwright's event loop runs in this one."""
    nobody = SimpleNamespace(client=None, headers={})
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(endpoint(nobody, "a-plain"))).result()


def test_who_never_fetches_an_answer_does_not_fill_the_memory(runs, monkeypatch):
    """Real queues of Gradio: a greedy session's answers go, and a waiting visitor's stay."""
    page = build(Library([str(runs / "a-plain")]))
    functions = {function.api_name: function.fn for function in page.fns.values()}
    lines = page._queue.pending_messages_per_session
    monkeypatch.setattr(endpoints, "MAX_UNREAD", 20)
    for endpoint in (functions["models"], lambda: answer_of(functions["history"])):
        for name, count in (("visitor", 2), ("greedy", 15), ("too", 6), ("third", 6)):
            lines[name] = asyncio.Queue()
            for _ in range(count):
                lines[name].put_nowait("a message")
        endpoint()
        assert [line.qsize() for line in lines.values()] == [2, 0, 6, 6]
        lines.clear()


def test_a_very_long_history_is_thinned(runs, monkeypatch):
    page = build(Library([str(runs / "a-plain")]))
    history = next(function.fn for function in page.fns.values() if function.api_name == "history")
    rows = answer_of(history)
    monkeypatch.setattr(endpoints, "MAX_NUMBERS", sum(map(len, rows)) // 3)
    assert answer_of(history) == rows[::4]


def test_of_a_film_no_more_is_painted_than_is_shown(runs, monkeypatch):
    library, painted = Library([str(runs / "a-plain")]), []

    def paint(seeds, classes):
        painted.append(len(seeds))
        return np.zeros((8, len(seeds), 28, 28, 1), np.uint8)

    monkeypatch.setattr(library.player("a-plain"), "film", paint)
    monkeypatch.setattr(film, "MAX_SIDE", 28 * 8)
    FILES["film.webp"](library, "a-plain", Query({"seed": "1"}))
    assert painted == [library.card("a-plain")["film"]["tiles"]] and painted[0] < film.TILES
    each = library.player("a-plain")._cost.products
    monkeypatch.setattr(pictures, "MAX_WORK", 8 * film.TILES * each)
    FILES["film.webp"](library, "a-plain", Query({"seed": "2"}))
    monkeypatch.setattr(pictures, "MAX_WORK", 8 * film.TILES * each - 1)
    with pytest.raises(GanDemoError, match="8 snapshots of so large a network would hold up everybody else"):
        FILES["film.webp"](library, "a-plain", Query({"seed": "1"}))
    monkeypatch.setattr(film, "MAX_SIDE", 28 * 3 - 1)
    with pytest.raises(GanDemoError, match="8 snapshots of 28x28 pixels are more than a film here can hold"):
        FILES["film.webp"](library, "a-plain", Query({"seed": "1"}))
