"""What `train.py --push-to-hub` does around a training: make the repository, push while training, push at the end."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from gan_demo import card, hub, naming
from gan_demo.errors import GanDemoError
from gan_demo.run import Run
from gan_demo.wire import GIVE_UP_SECONDS, HubError, check_online, connect, explained

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SLOW_SECONDS = 30  # after which a person is told what is waited for


class Publisher:
    """Pushes one training's run to one repository of the Hub."""

    def __init__(self, repo_id: str, private: bool = False, every_snapshot: bool = False):
        """Make the repository, so that a wrong name or token is told before the training and not after it.

        Raises GanDemoError then. Where the Hub cannot be asked just now, training starts and a line says so.
        """
        self.repo_id, self.private = naming.parse_target(repo_id), private
        check_online(self.repo_id)
        try:
            hub.make_repo(self.repo_id, private)
        except HubError as error:
            if not error.passing:
                raise
            print(f"{error}; training starts, and the push comes at its end", file=sys.stderr)
        self.snapshots = SnapshotPusher(self.repo_id, private) if every_snapshot else None

    def publish(self, run: Run, metrics: dict[str, Any] | None) -> str:
        """Push the whole folder with its card, and return where it went, in words. HubError says how to do it later."""
        if self.snapshots:
            self.snapshots.close()
        patience = f"it is given up where the Hub says nothing for {GIVE_UP_SECONDS} s"
        try:
            with _told_when_slow(f"{self.repo_id}: the push is still on its way; {patience}"):
                done = hub.push(run, self.repo_id, self.private, lambda theirs: self._card(run, metrics, theirs))
        except HubError as error:
            raise HubError(f"{error}; {run.path} is complete, push it with --resume", error.passing) from None
        what = f", tagged {done.tag}" if done.tag else ""
        return f"{done.url} ({'commit' if done.changed else 'nothing new since commit'} {done.commit[:10]}{what})"

    def _card(self, run: Run, metrics: dict[str, Any] | None, theirs: str | None) -> str:
        """The repository's card, renewed. A folder's card that says more than that one is kept in state/, and told."""
        renewed, path = card.text(run, metrics, self.repo_id, theirs), run.path / "README.md"
        here = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        if lost := card.lost(run, here, renewed):
            run.write("state/README.md", here)
            _say(
                f"{self.repo_id} has a card of its own, without {lost[0][:60]!r}: the folder's is kept as "
                f"{run.path / 'state/README.md'}; put what you miss into the card on its page"
            )
        return renewed


class SnapshotPusher:
    """Pushes each snapshot of a run while it trains: in a thread of its own, in order, never in the training's way.

    Call it after a snapshot is written: it returns at once. A failure is reported in one line; what may pass is tried
    again later, together with what has come since. `close` before the last push of the whole folder.
    """

    def __init__(
        self,
        repo_id: str,
        private: bool = False,
        *,
        endpoint: str | None = None,
        pauses: tuple[float, float] = (30, 600),
    ):
        """`pauses`: seconds before the first new try, and before any later one at most. GanDemoError for a bad name."""
        self.repo_id, self.private, self.pauses = naming.parse_target(repo_id), private, pauses
        self._endpoint = endpoint
        self._api: HfApi | None = None
        self._folder = Path()
        self._sent: set[str] = set()
        self._news, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._work, name="snapshot-pusher", daemon=True)
        self._thread.start()

    def __call__(self, run: Run) -> None:
        self._folder = run.path
        self._news.set()

    def close(self, seconds: float = 90) -> None:
        """Take no more snapshots, and wait at most so long for the one that is on its way."""
        self._closed.set()
        self._news.set()
        with _told_when_slow(f"{self.repo_id}: a snapshot is still on its way; it is waited for {seconds:g} s at most"):
            self._thread.join(seconds)

    def _work(self) -> None:
        pause, failing = self.pauses[0], False
        while self._news.wait() and not self._closed.is_set():
            self._news.clear()
            try:
                self._push()
            except GanDemoError as error:
                passing = isinstance(error, HubError) and error.passing
                if not failing:
                    later = "trying again later" if passing else "trying again at the end"
                    _say(f"{error} (training goes on, {later})")
                if not passing:
                    return
                failing = True
                self._closed.wait(pause)
                pause = min(2 * pause, self.pauses[1])
                self._news.set()
            else:
                if failing:
                    _say(f"{self.repo_id} has all snapshots again")
                pause, failing = self.pauses[0], False

    def _push(self) -> None:
        """Send the snapshots that the index names and the repository has not got, with the index, in one commit."""
        if not self._api:
            hub.make_repo(self.repo_id, self.private, endpoint=self._endpoint)
            self._api = connect(None, self._endpoint)
        with explained(f"{self.repo_id} cannot be pushed to"):
            from huggingface_hub import CommitOperationAdd, CommitOperationDelete

            index = (self._folder / "snapshots/index.json").read_bytes()  # written after the files that it names
            entries = [entry for entry in json.loads(index)["snapshots"] if entry["sha256"] not in self._sent]
            if not entries:
                return
            names = [f"snapshots/{entry['file']}" for entry in entries]
            names += [f"samples/step-{entry['step']:08d}.png" for entry in entries]
            names += ["config.json", "history.csv", "samples/real.png"]
            files = {name: self._folder / name for name in names if (self._folder / name).is_file()}
            contents = {name: path.read_bytes() for name, path in files.items()} | {"snapshots/index.json": index}
            additions = [CommitOperationAdd(name, content) for name, content in contents.items()]
            deletions: list[Any] = []
            if not self._sent:  # what is there of an earlier run would stand beside this one's steps
                before = self._api.model_info(self.repo_id)
                listed = (f"snapshots/{entry['file']}" for entry in entries)  # one that is lost here stays there
                known = {entry["sha256"] for entry in entries}
                goes_on = known & hub.last_snapshots(self._api, self.repo_id, before)
                ours = [*listed, *contents, *(naming.files_of(Run(self._folder)) if goes_on else [])]
                deletions = [CommitOperationDelete(name) for name in naming.stale(before, ours)]
            self._api.preupload_lfs_files(self.repo_id, additions, free_memory=False)  # what takes long
            if self._closed.is_set():  # the whole folder is on its way by now: an older index may not follow it
                return
            self._api.create_commit(
                self.repo_id, [*additions, *deletions], commit_message=f"step {entries[-1]['step']}"
            )
            self._sent |= {entry["sha256"] for entry in entries}


@contextmanager
def _told_when_slow(sentence: str) -> Iterator[None]:
    """Say so where what happens inside takes long."""
    timer = threading.Timer(SLOW_SECONDS, _say, [sentence])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(sentence: str) -> None:
    tqdm.write(sentence, file=sys.stderr)  # above the progress bar, where there is one
