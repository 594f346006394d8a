"""What `train.py --push-to-hub` does around a training: make the repository, push while training, push at the end."""

import sys
from typing import Any

from gan_demo import card, hub
from gan_demo.run import Run
from gan_demo.wire import HubError


class Publisher:
    """Pushes one training's run to one repository of the Hub."""

    def __init__(self, repo_id: str, private: bool = False, every_snapshot: bool = False):
        """Make the repository, so that a wrong name or token is told before the training and not after it.

        Raises GanDemoError then. Where the Hub cannot be asked just now, training starts and a line says so.
        """
        self.repo_id, self.private = hub.parse_target(repo_id), private
        try:
            hub.make_repo(self.repo_id, private)
        except HubError as error:
            if not error.passing:
                raise
            print(f"{error}; training starts, and the push comes at its end", file=sys.stderr)
        self.snapshots = hub.SnapshotPusher(self.repo_id, private) if every_snapshot else None

    def close(self) -> None:
        """Stop pushing snapshots; the one on its way is waited for."""
        if self.snapshots:
            self.snapshots.close()

    def publish(self, run: Run, metrics: dict[str, Any] | None) -> str:
        """Push the whole folder with its card, and return where it went, in words. HubError says how to do it later."""
        self.close()
        try:
            done = hub.push(
                run, self.repo_id, self.private, lambda theirs: card.text(run, metrics, self.repo_id, theirs)
            )
        except HubError as error:
            raise HubError(f"{error}; {run.path} is complete, push it with --resume", error.passing) from None
        what = f", tagged {done.tag}" if done.tag else ""
        return f"{done.url} ({'commit' if done.changed else 'nothing new since commit'} {done.commit[:10]}{what})"
