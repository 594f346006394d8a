"""The runs that the app knows: listed without torch, played on demand, their pictures kept."""

import contextlib
import re
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_demo import naming
from gan_demo.errors import GanDemoError, without_path
from gan_demo.run import Run, folders
from gan_demo.ui.cache import ByteCache
from gan_demo.ui.facts import facts_of
from gan_demo.ui.sources import Folder, Repository, Source
from gan_demo.ui.turns import Turns

if TYPE_CHECKING:
    from gan_demo.player import Player

CACHE_BYTES = 256 * 2**20  # some 1,300 films of 48 steps at 28x28
PLAYER_BYTES = 512 * 2**20  # of snapshots and networks in memory: some ten runs
TILES_BYTES = 16 * 2**20  # of painted tiles that several files show: some eighty grids of 16 at 64x64
MAX_GUESTS = 8
MAX_GONE = 1000  # names of guests that made way


class Library:
    """Runs by key: the host's in `runs`, in the order in which they came, and `guests`, which visitors opened by name.

    A key is safe in a URL: a folder's name, or a Hub id. Both grow while they are served; see `sources`.
    """

    def __init__(self, sources: Iterable[str], allow_hub: bool = False):
        """Open every folder named, and send for every Hub id; `settle` waits for those.

        Raises GanDemoError where a source is neither, or nothing at all can come of them. One damaged run among
        several is told by `problems`, and stops nothing; nor does it that all are still to come.
        """
        self.runs: dict[str, Run] = {}
        self.guests: dict[str, Run] = {}
        self._gone: tuple[str, ...] = ()  # guests that made way, the latest ones
        self.allow_hub = allow_hub
        self._sources: dict[str, Source] = {}  # of the runs that are there
        self._waiting: list[Source] = []  # those of which nothing has come yet
        self._players: dict[str, Player] = {}
        self._cards: dict[str, tuple[Run, dict[str, Any]]] = {}
        self._opening, self._looking, self._reading = threading.Lock(), threading.RLock(), threading.Lock()
        self._pictures, self._tiles = ByteCache(CACHE_BYTES), ByteCache(TILES_BYTES)
        self._turns, self._fetching = Turns(), Turns(at_once=8)  # who waits for the Hub is in nobody's way
        for name in sources:
            if naming.is_hub_id(name):
                self._waiting.append(Repository(name))
            else:
                self._waiting += [Folder(path) for path in folders(name, ", a Hub id")]
        self.look_for_more()
        self._check_hope()

    # ---------------------------------------------------------------- what there is

    def look_for_more(self) -> None:
        """Take in what has come of the sources that had nothing yet. Waits for no network."""
        with self._looking:
            for source in list(self._waiting):
                if (run := source.news()) is not None:
                    self._waiting.remove(source)
                    self._enter(source, run)

    def take_in(self, path: Path) -> str | None:
        """The key of a run folder that is made while the page is served; None while it has no snapshot yet."""
        with self._looking:
            for key, source in self._sources.items():
                if isinstance(source, Folder) and source.path == path:
                    return key
            folder = Folder(path)
            if (run := folder.news()) is None:
                return None
            return self._enter(folder, run)

    def _enter(self, source: Source, run: Run) -> str:
        key = self._key(source, run)
        self._sources[key] = source
        self.runs = {**self.runs, key: run}  # a new one: other threads may be reading the old
        return key

    def settle(self, seconds: float) -> None:
        """Wait so long at most for what the Hub was asked for. Raises GanDemoError where nothing at all can come."""
        asked = [source for source in self._waiting if isinstance(source, Repository)]
        give_up = time.monotonic() + seconds
        for source in asked:
            source.wait(give_up - time.monotonic())
        self.look_for_more()
        for source in asked:
            if source.busy:
                source.trouble = f"{source.name} is not here yet, the Hub is slow: it appears when it comes"
        self._check_hope()

    def _check_hope(self) -> None:
        if not self.runs and all(source.hopeless for source in self._waiting):
            raise GanDemoError(self._waiting[0].trouble)

    def listing(self) -> dict[str, Any]:
        """What the page is told before it asks for any run: the host's runs, and what stands in the way of others."""
        titles = self.titles()
        return {
            "runs": [
                {"key": key, "title": titles[key], "classes": run.config.classes} for key, run in self.runs.items()
            ],
            "problems": self._told(),
            "pending": any(source.pending for source in self._waiting),
            "allow_hub": self.allow_hub,
        }

    def _told(self) -> list[str]:
        """Why runs are not there, in sentences for visitors."""
        return [
            f"{source.public()}."
            if source.pending
            else f"The run {source.name} could not be opened: {source.public()}."
            for source in self._waiting
            if source.trouble
        ]

    def problems(self) -> list[str]:
        """What went wrong with which source, for whoever started the page."""
        return [source.trouble for source in (*self._sources.values(), *self._waiting) if source.trouble]

    def expected(self, name: str) -> Source | None:
        """The repository of that name that the host gave, where nothing has come of it yet."""
        return next((source for source in self._waiting if source.name == name), None)

    def admit(self, source: Repository, run: Run) -> None:
        """Keep a run that a visitor opened; of MAX_GUESTS the least recently watched makes way, on the disk too."""
        left: list[Source] = []
        with self._looking:
            self.guests = {**self.guests, source.name: run}
            self._sources[source.name] = source
            while len(self.guests) > MAX_GUESTS:
                left.append(self._leave(next(iter(self.guests))))
        _drop(left)

    def _leave(self, key: str) -> Source:
        """Keep a guest no longer, and return its source."""
        self.guests = {name: run for name, run in self.guests.items() if name != key}
        self._gone = (*self._gone, key)[-MAX_GONE:]
        for kept in (self._players, self._cards):
            kept.pop(key, None)
        return self._sources.pop(key)

    def _key(self, source: Source, run: Run) -> str:
        if isinstance(source, Repository):
            return source.name
        base = key = re.sub(r"[^A-Za-z0-9._-]+", "-", run.config.name).strip(".-")[:80] or "run"
        number = 1
        while key in self.runs:
            number += 1
            key = f"{base}-{number}"
        return key

    def _look(self, key: str) -> None:
        """Take the run's new state where it has one."""
        left: list[Source] = []
        with self._looking:
            if (source := self._sources.get(key)) is None:
                return
            run = source.news()
            if source.gone and key in self.guests:
                left.append(self._leave(key))
            elif run and key in self.runs:
                self.runs = {**self.runs, key: run}
            elif run and key in self.guests:
                self.guests = {**self.guests, key: run}
        _drop(left)

    def _touch(self, key: str) -> None:
        """Somebody watches it: of the guests it is the last to make way."""
        with self._looking:
            if key in self.guests:
                self.guests = {**{name: run for name, run in self.guests.items() if name != key}, key: self.guests[key]}

    def run(self, key: str) -> Run:
        """The run under that key, or GanDemoError naming those there are, or why there is none."""
        if (run := self._find(key)) is None:
            if key in self._gone:
                raise _made_way(key)
            if not self.runs:
                raise GanDemoError(" ".join(["no run is here yet, ask again later:", *self._told()]))
            raise GanDemoError(f"no run is called {key[:60]!r} here: choose one of {', '.join(self.runs)}")
        return run

    def _find(self, key: str) -> Run | None:
        return self.runs.get(key) or self.guests.get(key)

    def titles(self) -> dict[str, str]:
        """What a person calls each run: its recipe's title, and its own name where two share one, or it is a guest."""
        runs = self.runs
        titles = {key: run.config.as_recipe().title for key, run in runs.items()}
        shared = {title for title in titles.values() if list(titles.values()).count(title) > 1}
        named = {key: f"{title} ({key})" if title in shared else title for key, title in titles.items()}
        return named | {key: f"{run.config.as_recipe().title} ({key})" for key, run in self.guests.items()}

    def player(self, key: str) -> "Player":
        """The run's player, made when first asked for. The first call waits for torch.

        The least recently used are dropped once all take more than PLAYER_BYTES.
        """
        run = self.run(key)
        with self._opening:
            player = self._players.pop(key, None)
            if player is None or _state(player.run) != _state(run):
                from gan_demo.player import Player

                player = Player(run, player)
            self._players[key] = player
            sizes = {key: kept.bytes for key, kept in list(self._players.items())}
            while len(sizes) > 1 and sum(sizes.values()) > PLAYER_BYTES:
                gone = next(iter(sizes))
                del sizes[gone]
                self._players.pop(gone, None)
            return player

    def warm_up(self) -> None:
        """Import torch and open the first run, so that the first visitor does not wait for it."""
        import torch

        torch.set_num_threads(1)  # on two cores shared with the server, a second thread waits more than it works
        for key in list(self.runs)[:1]:
            with contextlib.suppress(GanDemoError):  # a damaged run is told to the visitor who asks for it
                self.player(key).generate([0])

    def turns(self, key: str) -> Turns:
        """Where to wait for one's turn before a picture of that run is made."""
        self._touch(key)
        return self._turns if self.run(key).complete else self._fetching

    def public(self, key: str, error: GanDemoError) -> str:
        """What an error says of that run, without a path of this machine."""
        run = self._find(key)
        return without_path(str(error), run.path, key) if run else str(error)

    def has_changed(self, key: str, revision: str) -> bool:
        """Whether the run is there, and no longer what it was at that revision; a folder is looked into for that."""
        if isinstance(source := self._sources.get(key), Folder):
            source.hurry()
            self._look(key)
        run = self._find(key)
        return run is not None and run.revision != revision

    def kept(self, key: str, revision: str, what: Hashable) -> bytes | None:
        """A picture that was made before, or None; all as in `picture`."""
        self._touch(key)
        return self._pictures.kept((key, revision, what))

    def picture(self, key: str, revision: str, what: Hashable, make: Callable[[], bytes]) -> bytes:
        """A file rendered from a run at that revision, made once; `what` names it among the run's files.

        Raises GanDemoError where the run is another by now, or has changed while it was made.
        """
        return self._once(self._pictures, key, revision, what, make)

    def tiles(self, key: str, what: Hashable, make: Callable[[], bytes]) -> bytes:
        """As `picture`, for what several files are made of: asked for together they share it, for a while after too."""
        return self._once(self._tiles, key, self.run(key).revision, what, make)

    def _once(self, cache: ByteCache, key: str, revision: str, what: Hashable, make: Callable[[], bytes]) -> bytes:
        def made() -> bytes:
            self._need(key, revision)
            data = make()
            self._need(key, revision)  # else nobody can say of what it is
            return data

        return cache.get((key, revision, what), made)

    def _need(self, key: str, revision: str) -> None:
        if self.run(key).revision != revision:
            raise GanDemoError(f"the run {key} has changed: ask again")

    def card(self, key: str) -> dict[str, Any]:
        """Everything that the page needs to know of a run before it asks for pictures; plain JSON.

        To ask is to watch: this looks at the run's source again, and tells in how many seconds to ask once more.
        """
        self._look(key)
        self._touch(key)
        run = self.run(key)
        with self._reading:
            kept = self._cards.get(key)
            if kept is None or kept[0] is not run:
                self._cards[key] = kept = (run, facts_of(run))
        if (source := self._sources.get(key)) is None:
            raise _made_way(key)
        facts = kept[1]
        finished = run.config.steps >= run.config.length
        reached = max(run.config.steps, run.steps[-1], facts["logged"])
        return {
            "key": key,
            "title": self.titles().get(key, key),
            **facts,
            "training": None
            if finished
            else {"step": min(reached, run.config.length), "length": run.config.length, "live": source.live()},
            "watch": source.pause(finished),
            "trouble": source.public(),
        }


def _drop(sources: Iterable[Source]) -> None:
    for one in sources:  # a disk may take its time
        if isinstance(one, Repository):
            one.drop()


def _made_way(key: str) -> GanDemoError:
    return GanDemoError(f"{key} made way for runs that others opened, or is public no longer: open it again")


def _state(run: Run) -> tuple[str, str, Path]:
    """What a player is made for; a guest that makes way and comes again has its files elsewhere."""
    return run.revision, run.label, run.path
