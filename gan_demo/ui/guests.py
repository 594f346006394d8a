"""Repositories of the Hub that visitors open by name, where the host allows it: without a token, within limits."""

import atexit
import shutil
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

from gan_demo import hub
from gan_demo.errors import GanDemoError
from gan_demo.lock import only_one
from gan_demo.ui.library import Library
from gan_demo.ui.sources import Repository

MAX_BYTES = 200 * 10**6  # of one repository; on the disk twice that for one that is pushed to while it is watched
MAX_COMING = 6  # at once, most of them waiting for a thread
FREE_BYTES = 2 * 10**9  # that stay free on the disk


class Guests:
    """Fetches what visitors name, each name once at a time, and has the library keep it."""

    def __init__(self, library: Library):
        self._library = library
        self._threads = ThreadPoolExecutor(2, "guest")
        self._coming: dict[str, Future[str]] = {}
        self._lock, self._settling = threading.Lock(), threading.Lock()
        self._home: Path | None = None  # of what they hold on the disk
        self._held = ExitStack()

    def open(self, name: str) -> "Future[str]":
        """The library's key of `user/name[@revision]`, once it is there; its exception is a GanDemoError.

        Raises GanDemoError at once where it will not be fetched at all.
        """
        if not self._library.allow_hub:
            raise GanDemoError("nothing is opened by name here: whoever started the page can allow it with --allow-hub")
        repository = Repository(name, guest=True, limit=MAX_BYTES)
        if expected := self._library.expected(repository.name):
            raise GanDemoError(expected.public() or f"{repository.name} is on its way here: it appears when it comes")
        with self._lock:
            if repository.name in self._library.runs or repository.name in self._library.guests:
                there: Future[str] = Future()
                there.set_result(repository.name)
                return there
            if repository.name in self._coming:
                return self._coming[repository.name]
            if len(self._coming) >= MAX_COMING:
                raise GanDemoError("others are opening repositories right now: try again in a moment")
            coming = self._coming[repository.name] = self._threads.submit(self._fetch, repository)
            return coming

    def _fetch(self, repository: Repository) -> str:
        from gan_demo.player import Player

        try:
            repository.cache = self._place()
            fetched = repository.fetch()
            Player(fetched.run)  # refuses what no honest run asks for
            repository.take(fetched)
            repository.news()
            self._library.admit(repository, fetched.run)
            return repository.name
        except BaseException:
            repository.drop()
            raise
        finally:
            with self._lock:
                self._coming.pop(repository.name, None)

    def _place(self) -> Path:
        """A new folder for one repository. What earlier processes left, however they ended, goes first."""
        try:
            with self._settling:
                if self._home is None:
                    around = hub.cache_beside("gan-demo-guests")
                    for left in around.glob("*"):
                        with suppress(GanDemoError), only_one(left):  # else another page is at work there
                            shutil.rmtree(left, ignore_errors=True)
                    around.mkdir(parents=True, exist_ok=True)
                    home = Path(tempfile.mkdtemp(dir=around))
                    self._held.enter_context(only_one(home))
                    atexit.register(shutil.rmtree, home, ignore_errors=True)
                    self._home = home
            if shutil.disk_usage(self._home).free < FREE_BYTES:
                raise GanDemoError("the disk of this page is full: ask its host for room")
            return Path(tempfile.mkdtemp(dir=self._home))
        except OSError as error:
            raise GanDemoError(f"this page cannot write to its disk ({error.strerror}): ask its host") from None
