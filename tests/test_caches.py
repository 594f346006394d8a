"""What a host would lose if a cache had no end: the memory of a page that stays up for months."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from waiting import wait_until

from gan_demo.errors import GanDemoError
from gan_demo.ui import library
from gan_demo.ui.cache import ENTRY, ByteCache


def test_a_cache_holds_no_more_bytes_than_it_may_and_knows_how_many():
    limit = 3 * (ENTRY + 30)
    cache = ByteCache(limit)
    for number in range(20):
        assert cache.get(number, lambda: b"x" * 30) == b"x" * 30
        assert cache.size <= limit
    assert cache.get(19, lambda: b"made anew") == b"x" * 30
    assert cache.get(17, lambda: b"made anew") == b"x" * 30
    assert cache.get(16, lambda: b"") == b"", "three have room, whatever is in them: a key takes room too"
    assert cache.get("large", lambda: b"x" * limit) == b"x" * limit
    assert cache.size == 0, "what alone is too large is handed over and not kept"


def test_what_several_wait_for_is_made_once_and_fails_for_all_of_them_at_once():
    cache, made, begin = ByteCache(10**6), [], threading.Event()

    def make() -> bytes:
        made.append(1)
        begin.wait(60)
        if len(made) == 1:
            raise GanDemoError("damaged")
        return b"whole"

    def together() -> list[bytes | str]:
        begin.clear()
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(cache.get, "film", make) for _ in range(4)]
            wait_until(lambda: "film" in cache._making and len(cache._making["film"]._condition._waiters) == 3)
            begin.set()
        return [str(one.exception() or one.result()) for one in asked]

    assert (together(), len(made)) == (["damaged"] * 4, 1)
    assert (together(), len(made)) == (["b'whole'"] * 4, 2)  # an error is not kept
    with pytest.raises(KeyError):
        cache.get("other", lambda: {}["nothing"])


def test_runs_that_nobody_looks_at_leave_the_memory(runs, monkeypatch):
    shelf = library.Library([str(runs)])
    players = {key: shelf.player(key) for key in ("a-plain", "b-classes")}
    assert shelf.player("a-plain") is players["a-plain"], "there is room for both"
    size = sum(one.bytes for one in shelf.run("c-colour").snapshots)
    monkeypatch.setattr(library, "PLAYER_BYTES", size + sum(one.bytes for one in shelf.run("a-plain").snapshots))
    shelf.player("c-colour")
    assert shelf.player("a-plain") is players["a-plain"], "the one that was used last stays"
    assert shelf.player("b-classes") is not players["b-classes"]
    assert shelf.player("b-classes").generate([1]).shape == (1, 28, 28, 1)
