"""Train GANs, keep their history, and replay it: `open_run("checkpoints/dcgan-mnist").film(range(16))`."""

from typing import TYPE_CHECKING, Any

from gan_demo.errors import GanDemoError

if TYPE_CHECKING:
    from gan_demo.player import Player, open_run

__all__ = ["GanDemoError", "Player", "open_run"]


def __getattr__(name: str) -> Any:
    """Import torch only when a run is opened: the app shows its page before that."""
    if name in ("Player", "open_run"):
        from gan_demo import player

        return getattr(player, name)
    raise AttributeError(f"module 'gan_demo' has no attribute {name!r}")
