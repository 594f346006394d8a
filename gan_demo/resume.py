"""All that a training needs to go on as if it had never stopped: state/state.pt, never pushed, never committed."""

import io
import sys
from typing import TYPE_CHECKING, Any

import torch

from gan_demo.errors import GanDemoError
from gan_demo.files import write_file
from gan_demo.run import Run, disk_explained

if TYPE_CHECKING:
    from gan_demo.training import Trainer

MODULES = ("generator", "discriminator", "generator_adam", "discriminator_adam")
RandomStates = dict[str, torch.Tensor]


def write(trainer: "Trainer", random_states: list[RandomStates]) -> None:
    """Write the state of a training after the step at hand; `random_states` are those of all its processes.

    The order of the data needs no entry: it follows from the seed and the epoch.
    """
    state = {
        "step": trainer.step,
        "batches": trainer.gan.batches,
        "seconds": trainer.seconds,
        **{name: getattr(trainer.gan, name).state_dict() for name in MODULES},
        "average": trainer.gan.average.module.state_dict(),
        "random": trainer.gan.random.get_state(),
        "random_states": random_states,
        "device": trainer.device.type,
        "sums": trainer.sums,
        "summed": trainer.summed,
        "unscheduled": trainer.unscheduled,
        "snapshots": trainer.snapshots,
        "images": trainer.real.digest,
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_file(trainer.run.path / "state" / "state.pt", buffer.getvalue())


def read(trainer: "Trainer", run: Run) -> None:
    """Put a training back where its folder's state says, and rewind what the folder holds beyond that.

    Raises GanDemoError where there is no state, it belongs to another run, or is further than this one shall go. On
    another kind of device than before, or in another number of processes, random numbers start anew and a line says so.
    """
    path = run.path / "state" / "state.pt"
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        _restore(trainer, state)
    except FileNotFoundError:
        raise GanDemoError(
            f"{run.path} cannot be resumed (state/ is missing: it is never pushed, and a training killed at its start "
            "has none yet): train anew into another --out, or remove the folder"
        ) from None
    except Exception as error:  # torch raises many kinds for a damaged or foreign file
        raise GanDemoError(
            f"{path} does not fit this run ({type(error).__name__}): train anew into another --out"
        ) from None
    if trainer.world.first and state.get("images", trainer.real.digest) != trainer.real.digest:
        print(
            f"{run.path} was trained on other pictures than these, or another machine or library has read them: "
            "it goes on with these, not exactly as it would have",
            file=sys.stderr,
        )
    if trainer.step > trainer.options.length:
        raise GanDemoError(f"{run.path} is at step {trainer.step:,} already: give --steps {trainer.step} or more")
    if trainer.world.first:
        with disk_explained(run.path):
            run.sweep()
            run.rewind(trainer.step)


def _restore(trainer: "Trainer", state: dict[str, Any]) -> None:
    for name in MODULES[2:]:  # how Adam computes is this device's affair, not the state's
        own = getattr(trainer.gan, name).param_groups[0]
        state[name]["param_groups"][0].update(fused=own["fused"], capturable=own["capturable"])
    for name in MODULES:
        getattr(trainer.gan, name).load_state_dict(state[name])
    trainer.gan.average.module.load_state_dict(state["average"])
    trainer.step = trainer.gan.steps = state["step"]
    trainer.gan.batches = state.get("batches", trainer.step * trainer.recipe.discriminator_steps)
    trainer.seconds, trainer.summed = state["seconds"], state["summed"]
    trainer.sums = {name: value.to(trainer.device) for name, value in state["sums"].items()}
    trainer.finite.fill_(trainer.summed)
    trainer.unscheduled = state["unscheduled"]
    trainer.snapshots = trainer.options.snapshots or state.get("snapshots", trainer.snapshots)
    same_device = state["device"] == trainer.device.type
    if same_device:
        trainer.gan.random.set_state(state["random"])  # the same in every process
    if same_device and len(state["random_states"]) == trainer.world.size:
        _set_random_states(trainer.device, state["random_states"][trainer.world.rank])
    elif trainer.world.first:
        print("another device or number of processes than before: random numbers start anew", file=sys.stderr)


def random_states(device: torch.device) -> RandomStates:
    """The states of torch's global random generators: dropout's."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        states["mps"] = torch.mps.get_rng_state()
    return states


def _set_random_states(device: torch.device, states: RandomStates) -> None:
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
    elif device.type == "mps" and "mps" in states:
        torch.mps.set_rng_state(states["mps"])
