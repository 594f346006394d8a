"""Where runs come from: a folder, or a repository of the Hub. Each is looked at again, so that a run grows while shown.

`news()` hands a run over when there is a new state of it, and never waits for a network.
"""

import shutil
import threading
import time
from pathlib import Path

from gan_demo import hub, naming
from gan_demo.errors import GanDemoError, without_path
from gan_demo.run import Run
from gan_demo.wire import MissingError

FOLDER_SECONDS = 1  # between two looks
HUB_SECONDS = 30
FIRST_SECONDS = 10  # between two askings of the Hub for a run of which nothing has come yet
QUIET_SECONDS = 900  # after which a training that has written nothing counts as stopped
WATCHED = ("config.json", "snapshots/index.json", "history.csv", "metrics.json", "film.json")


class Folder:
    """A run folder, perhaps with a training at work in it. `trouble` says why its last good state is all there is."""

    def __init__(self, path: Path):
        self.path, self.name = path, path.name.encode(errors="replace").decode()  # a folder's name need not be text
        self.trouble = ""
        self.pending = False  # whether it is a run that only lacks its first snapshot
        self.gone = False
        self._seen: object = None
        self._grew = False  # since it was first seen
        self._next = 0.0

    def news(self) -> Run | None:
        """The run, where the folder has changed since the last call; at most one look a second."""
        now = time.monotonic()
        if now < self._next:
            return None
        self._next = now + FOLDER_SECONDS
        try:
            seen = tuple(_stamp(self.path / name) for name in WATCHED)  # before it is read: a later change is seen then
            if seen == self._seen:
                self.trouble, self.pending = "", False  # it may have been away for a moment
                return None
            run = Run(self.path)
        except GanDemoError as error:
            self.trouble, self.pending = str(error), False
            return None
        self.pending = not run.snapshots
        if self.pending:
            self.trouble = f"{self.path} has no snapshot yet: wait for its training, or remove it and train anew"
            return None
        self._grew = self._seen is not None
        self._seen, self.trouble = seen, ""
        return run

    def hurry(self) -> None:
        """Have the next call of `news` look, however short ago the last one did."""
        self._next = 0.0

    def live(self) -> bool:
        """Whether a training seems to be at work in it: it holds its lock, and something was written lately.

        Where there is no state/, as in a clone, whose files are all new, it has grown while it was watched.
        """
        state = self.path / "state"
        if not ((state / "lock").exists() if state.is_dir() else self._grew):
            return False
        written = max((stamp[0] for name in WATCHED if (stamp := _stamp(self.path / name))), default=0) / 1e9
        return time.time() - written < QUIET_SECONDS

    @property
    def hopeless(self) -> bool:
        """Whether nothing will come of it by itself."""
        return not self.pending

    def pause(self, finished: bool) -> int | None:
        """Seconds until a page that shows it may ask again; None where it stays as it is."""
        return 5 if finished else 3  # a finished one may be trained on

    def public(self) -> str:
        """`trouble`, without a path of this machine."""
        if self.pending:
            return f"{self.name} has no snapshot yet: it appears with its first"
        return without_path(self.trouble, self.path, self.name)


class Repository:
    """A run on the Hub, fetched and watched by threads of its own. Of a pinned commit there is never anything new."""

    def __init__(self, source: str, guest: bool = False, limit: int = hub.MAX_BYTES):
        """`guest`: a visitor named it, so no token is sent. GanDemoError where `source` is not of the form."""
        repo_id, revision = naming.parse(source)
        self.repo_id, self.revision = repo_id, revision
        self.name = repo_id if revision == naming.MAIN else f"{repo_id}@{revision}"
        self.trouble, self.pending = "", True
        self.hopeless = False  # whether the Hub says that there is no such thing
        self.gone = False  # whether it is no longer for everyone to see, and a visitor opened it
        self.commit = ""
        self.cache: Path | None = None  # a folder of its own, to be cleared away with it; None is the shared one
        self._token = False if guest else None
        self._limit = limit
        self._shown: Run | None = None
        self._grew = False  # since it was first fetched
        self._dropped = threading.Event()
        self._came: Run | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._next = 0.0

    def news(self) -> Run | None:
        """What a thread has brought since the last call; sends the next one where it is time to ask again."""
        with self._lock:
            came, self._came = self._came, None
            if time.monotonic() >= self._next and not (self.commit and self._stays) and not self.busy:
                self._thread = threading.Thread(target=self._ask, name=f"hub {self.name}", daemon=True)
                self._thread.start()
        return came

    @property
    def pinned(self) -> bool:
        return bool(naming.COMMIT.fullmatch(self.revision))

    @property
    def _stays(self) -> bool:
        """Whether there is nothing to ask: a pinned commit, but for a visitor's, which may be public no longer."""
        return self.pinned and self._token is not False

    @property
    def busy(self) -> bool:
        return bool(self._thread and self._thread.is_alive())

    def wait(self, seconds: float) -> None:
        """Wait for the thread that is on its way, but no longer."""
        if self._thread:
            self._thread.join(max(0.0, seconds))

    def fetch(self) -> hub.Fetched:
        """Fetch it here and now. Raises GanDemoError."""
        fetched = hub.fetch(
            self.repo_id, self.revision, token=self._token, limit=self._limit, cache=self.cache, ended=self._dropped
        )
        if not fetched.run.snapshots:
            raise GanDemoError(f"{self.name} has no snapshot yet: open it again once its training has pushed one")
        return fetched

    def take(self, fetched: hub.Fetched) -> None:
        """Go on from this state of it."""
        with self._lock:
            self.commit, self._came = fetched.commit, fetched.run
            self._shown = fetched.run
            self._next = time.monotonic() + HUB_SECONDS
        self.trouble, self.pending = fetched.trouble, False

    def drop(self) -> None:
        """Clear its own cache away: it will not be asked for again."""
        self._dropped.set()
        if self._shown:
            self._shown.fetch = None  # nothing more comes for who still reads it
        if self.cache:
            shutil.rmtree(self.cache, ignore_errors=True)

    def _ask(self) -> None:
        try:
            if not self.commit:
                self.take(self.fetch())
            elif hub.newer(self.repo_id, self.commit, self.revision, token=self._token):
                if self.cache and self._shown:
                    hub.forget_other_commits(self._shown)
                fetched = self.fetch()
                fetched.run.need(fetched.run.steps)  # here, so that no visitor waits for them
                self.take(fetched)
                self._grew = True
        except GanDemoError as error:
            self.gone = bool(self.commit) and self._token is False and isinstance(error, MissingError)
            if not self.commit:  # else what is on show stays good, and its commit is shown beside it
                self.trouble, self.hopeless = str(error), isinstance(error, MissingError)
        except Exception:  # a defect, which the log tells; the page would be silent
            if not self.commit:
                self.trouble = f"{self.name} cannot be opened: the log of this page says why"
            raise
        finally:
            self._next = time.monotonic() + (HUB_SECONDS if self.commit else FIRST_SECONDS)
            if self._dropped.is_set():  # meanwhile
                self.drop()

    def live(self) -> bool | None:
        """Whether it grows. None where nobody can tell: of a branch that has not, yet; what a commit holds stays."""
        return False if self.pinned else self._grew or None

    def pause(self, finished: bool) -> int | None:
        """As Folder.pause; a branch may be trained on and pushed again at any time."""
        return None if self._stays else 15

    def public(self) -> str:
        """`trouble`, where it keeps the run away: one that was fetched before is shown with its commit instead."""
        said = self.trouble.replace(" is no folder here and", "").removesuffix(": try again later")  # it does by itself
        return "" if self.commit else said


Source = Folder | Repository


def _stamp(path: Path) -> tuple[int, int] | None:
    """When a file was written, in nanoseconds, and its size; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
