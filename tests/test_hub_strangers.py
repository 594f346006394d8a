"""What a host would lose: a machine, a token or a visitor to what a stranger pushed under a run's name."""

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hub_double import SHIPPED, HubDouble, pull
from waiting import wait_until

from gan_demo import hub, naming, wire
from gan_demo.config import read_config
from gan_demo.errors import GanDemoError
from gan_demo.networks import build_discriminator
from gan_demo.player import Player
from gan_demo.ui import guests
from gan_demo.ui.library import Library
from gan_demo.weights import load_weights, save_weights

LAST = "snapshots/step-00018750.safetensors"


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.fixture
def files() -> dict[str, bytes]:
    """A run of three snapshots, as a stranger may have pushed it."""
    index = json.loads((SHIPPED / "snapshots/index.json").read_text())
    index["snapshots"] = [index["snapshots"][at] for at in (0, 7, -1)]
    names = ["config.json", "history.csv", "film.json", *(f"snapshots/{entry['file']}" for entry in index["snapshots"])]
    return {name: (SHIPPED / name).read_bytes() for name in names} | {
        "snapshots/index.json": json.dumps(index).encode()
    }


def edit(files: dict[str, bytes], name: str, change) -> None:
    data = json.loads(files[name])
    change(data)
    files[name] = json.dumps(data).encode()


def put(files: dict[str, bytes], data: bytes) -> None:
    """Put bytes in the place of the last snapshot, with an index that vouches for them."""
    files[LAST] = data
    facts = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit(files, "snapshots/index.json", lambda index: index["snapshots"][-1].update(facts))


def refused(double: HubDouble, files: dict[str, bytes], says: str, **options) -> None:
    """Assert that the run is refused in one line, which tells nothing of this machine's folders."""
    double.add("evil/run", files)
    with pytest.raises(GanDemoError, match=says) as caught:
        Player(pull(double, "evil/run", **options).run).generate([0])
    assert "\n" not in str(caught.value) and "/cache/" not in str(caught.value)


def fetched_names(double: HubDouble) -> set[str]:
    return {path.split("/", 5)[5] for _, path, _ in double.requests if "/resolve/" in path}


def test_an_honest_run_of_a_stranger_plays_and_only_what_the_contract_names_is_fetched(files, double):
    others = ["README.md", "setup.py", "model.pkl", "pytorch_model.bin", "state/state.pt", "snapshots/evil.py"]
    extra = dict.fromkeys([*others, "snapshots/step-00000009.safetensors"], b"x")
    double.add("evil/run", {**files, **extra})
    run = pull(double, "evil/run", token=False).run
    assert Player(run).film([0]).shape == (3, 1, 28, 28, 1)
    assert fetched_names(double) == set(files)
    assert {path.relative_to(run.path).as_posix() for path in run.path.rglob("*") if path.is_file()} == set(files)


def test_weights_with_a_header_that_takes_seconds_to_read_are_refused(files, double):
    nothing = {f"{number:06d}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(5000)}
    header = json.dumps(nothing).encode()
    put(files, len(header).to_bytes(8, "little") + header)
    refused(double, files, f"{LAST} is damaged .its header is too long")


def test_a_pickle_under_a_snapshots_name_is_never_opened(files, double, tmp_path):
    put(files, pickle.dumps(Bomb(tmp_path / "harm")))
    refused(double, files, f"{LAST} is damaged")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(latent_size=10**9), "'latent_size' is out of range"),
        (lambda c: c["hyperparameters"].update(generator_widths=[10**9] * 3), "'generator_widths' is out of range"),
        (lambda c: c["hyperparameters"].update(generator_widths=[64] * 64), "'generator_widths' is out of range"),
        (lambda c: c["hyperparameters"].update(generator_widths=[]), "'generator_widths' is out of range"),
        (lambda c: c["hyperparameters"].update(discriminator_widths=[]), "'discriminator_widths' is out of range"),
        (lambda c: c.update(image_shape=[1 << 20, 1 << 20, 1]), "'image_shape' is out of range"),
        (lambda c: c["hyperparameters"].update(network="../../os"), "no network is called"),
        (lambda c: c["hyperparameters"].update(__class__="x"), "unknown key '__class__'"),
        (lambda c: c["hyperparameters"].update(guidance=3.5), "'guidance' is out of range"),
        (lambda c: c["hyperparameters"].update(guidance=None), "'guidance' holds 'None', no finite number"),
        (lambda c: c.update(classes=["x"] * 5000), "'classes' is out of range"),
        (lambda c: c["hyperparameters"].update(generator_widths=[8192] * 3), "parameters, more than 100,000,000"),
        (lambda c: (c.update(image_shape=[512, 512, 1]), c["hyperparameters"].update(generator_widths=[4, 8, 1024])),
         "asks for layers of 67,108,864 numbers"),
        (lambda c: (c.update(image_shape=[512, 512, 1]), c["hyperparameters"].update(generator_widths=[64, 1024, 64])),
         "products an image, more than 16,777,216 and 20,000,000,000"),
    ],
)  # fmt: skip
def test_a_config_that_asks_for_too_much_is_refused_before_anything_is_made(change, says, files, double):
    edit(files, "config.json", change)
    refused(double, files, says)


def test_a_discriminator_that_asks_for_too_much_is_refused_too(files, double):
    def widen(config) -> None:
        config["image_shape"] = [256, 256, 1]
        config["hyperparameters"].update(generator_widths=[8, 8, 8], discriminator_widths=[4096, 8])

    edit(files, "config.json", widen)
    config = read_config(json.loads(files["config.json"]), "x")
    network = build_discriminator(config.as_recipe(), 0)
    weights = {name: value.numpy() for name, value in network.state_dict().items() if "num_batches" not in name}
    files["discriminator.safetensors"] = save_weights(weights, {})
    double.add("evil/run", files)
    player = Player(pull(double, "evil/run").run)
    with pytest.raises(GanDemoError, match="asks for layers of 67,108,864 numbers"):
        player.verdict(np.zeros((1, 256, 256, 1), np.uint8))


def test_a_config_that_is_refused_costs_no_weights(files, double):
    edit(files, "config.json", lambda config: config.update(latent_size=10**9))
    refused(double, files, "out of range")
    assert fetched_names(double) == {"config.json", "snapshots/index.json"}


@pytest.mark.parametrize("name", ["config.json", "snapshots/index.json", "film.json"])
def test_a_file_too_large_to_be_honest_is_not_fetched(name, files, double):
    files[name] = b" " * (naming.SIDE_FILES[name] + 1)
    refused(double, files, f"{name} has 1,000,001 bytes, more than a run's may have")
    assert not fetched_names(double)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda entries: entries[-1].update(bytes=5), "its index says 5: push it again"),
        (lambda entries: entries[-1].update(bytes=10**12), "more than the 2,000,000,000 that may be fetched"),
        (lambda entries: entries[-1].update(bytes=-(10**12)), "counts below nought"),
        (lambda entries: entries[0].update(bytes=-(10**15)), "counts below nought"),
        (lambda entries: entries[-1].update(file="../../../x.safetensors"), "no snapshot's name"),
        (lambda entries: entries[-1].update(file="/etc/passwd"), "no snapshot's name"),
        (lambda entries: entries[-1].update(file="step-00018750.safetensors\n"), "no snapshot's name"),
        (lambda entries: entries[-1].update(file="step-00018750.pkl"), "no snapshot's name"),
        (lambda entries: entries[-1].update(sha256="0" * 64), "is damaged .its sha256"),
        (lambda entries: entries.append({**entries[-1], "step": 20000, "file": "step-00020000.safetensors"}),
         "step-00020000.safetensors is missing"),
        (lambda entries: entries.extend([{**entries[0], "step": step, "file": f"step-{step:08d}.safetensors"}
                                         for step in range(20000, 21000)]), "lists 1,003 snapshots"),
    ],
)  # fmt: skip
def test_an_index_that_lies_is_refused(change, says, files, double):
    edit(files, "snapshots/index.json", lambda index: change(index["snapshots"]))
    refused(double, files, says)


def test_a_host_sets_how_much_a_visitor_may_bring(files, double):
    refused(double, files, "more than the 100,000 that may be fetched here", limit=100_000)
    assert LAST not in fetched_names(double)


@pytest.mark.parametrize(
    ("limit", "value", "says"),
    [
        ("MAX_BYTES", 100_000, "more than the 100,000 that may be fetched here"),
        ("FREE_BYTES", 2**62, "the disk of this page is full"),
        ("MAX_COMING", 0, "others are opening repositories right now"),
    ],
)
def test_what_visitors_open_by_name_has_limits(limit, value, says, files, double, own_cache, monkeypatch):
    monkeypatch.setattr(hub, "connect", lambda token, _: wire.connect(token, double.url))
    double.add("evil/run", files)
    library = Library([str(SHIPPED)], allow_hub=True)
    with monkeypatch.context() as patch:
        patch.setattr(guests, limit, value)
        with pytest.raises(GanDemoError, match=says):
            guests.Guests(library).open("evil/run").result(60)
    assert not library.guests and LAST not in fetched_names(double)
    assert not list(own_cache.parent.rglob("models--*"))
    assert guests.Guests(library).open("evil/run").result(60) == "evil/run"


def test_of_a_visitors_run_that_makes_way_in_the_middle_of_a_film_nothing_stays(files, double, own_cache, monkeypatch):
    monkeypatch.setattr(hub, "connect", lambda token, _: wire.connect(token, double.url))
    double.add("evil/run", files)
    library = Library([str(SHIPPED)], allow_hub=True)
    assert guests.Guests(library).open("evil/run").result(60) == "evil/run"
    run, source = library.run("evil/run"), library._sources["evil/run"]
    double.stall("/cdn/")
    with ThreadPoolExecutor() as pool:
        film = pool.submit(run.need, run.steps)
        wait_until(lambda: double.asked("/cdn/") > 1)
        source.drop()
        double.recover()
        double.released.set()
        with pytest.raises(GanDemoError) as caught:
            film.result(60)
    assert str(own_cache.parent) not in str(caught.value)
    assert not list(own_cache.parent.rglob("models--evil--run"))


def stored(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    return load_weights(files[LAST], LAST)


@pytest.mark.parametrize(
    "lie",
    [
        lambda weights, name: weights.pop(name),
        lambda weights, name: weights.update(surprise=np.zeros(3, np.float32)),
        lambda weights, name: weights.update({name: np.zeros((2, 2), np.float32)}),
        lambda weights, name: weights.update({name: np.zeros((0,), np.float32)}),
        lambda weights, name: weights.update({name: np.full(weights[name].shape, np.nan, np.float32)}),
        lambda weights, name: weights.update({name: weights[name].astype(np.float64)}),
        lambda weights, name: weights.update({f"{name}.scale": np.full_like(weights[f"{name}.scale"], np.inf)}),
        # two megabytes that would become a terabyte when multiplied
        lambda weights, name: weights.update(
            {name: np.zeros((500_000, 1), np.int8), f"{name}.scale": np.zeros((1, 500_000), np.float32)}
        ),
    ],
)
def test_weights_that_are_not_the_networks_are_refused(lie, files, double):
    weights = stored(files)
    quantized = next(name for name, value in weights.items() if value.dtype == np.int8)
    lie(weights, quantized)
    put(files, save_weights(weights, {"format": "pt"}))
    refused(double, files, "does not fit|no finite float32|the scale of|is damaged")


def test_a_model_of_another_library_is_told_as_what_it_is(double):
    double.add("them/bert", {"config.json": b'{"architectures": ["Bert"]}', "model.safetensors": b"weights"})
    with pytest.raises(GanDemoError, match=r"them/bert holds no run \(it has no snapshots/index.json\): give"):
        pull(double, "them/bert")
    assert not double.asked("/resolve/")


def test_a_visitors_run_that_is_public_no_longer_is_shown_to_nobody(files, double, own_cache, monkeypatch):
    monkeypatch.setattr(hub, "connect", lambda token, _: wire.connect(token, double.url))
    monkeypatch.setattr("gan_demo.ui.sources.HUB_SECONDS", 0)
    double.add("some/run", files)
    library = Library([str(SHIPPED)], allow_hub=True)
    assert guests.Guests(library).open("some/run").result(60) == "some/run"
    assert library.card("some/run")["title"]
    double.repos["some/run"].private = True

    def gone() -> bool:
        try:
            library.card("some/run")
        except GanDemoError as error:
            return "or is public no longer" in str(error)
        return False

    wait_until(gone)
    assert "some/run" not in library.guests


def test_a_visitors_name_goes_out_without_the_hosts_token_and_shows_nothing_private(files, double):
    double.add("me/secret", files, private=True)
    assert pull(double, "me/secret").commit  # the host, whose token opens it, and who now has it cached
    before = len(double.requests)
    commit = double.repos["me/secret"].commits[-1].id
    for source in ("me/secret", f"me/secret@{commit}"):
        with pytest.raises(GanDemoError, match="no such repository, or it is private"):
            pull(double, source, token=False)
    double.answer(503)
    for source in ("me/secret", f"me/secret@{commit}"):
        with pytest.raises(GanDemoError, match="has trouble"):
            pull(double, source, token=False)
    assert not any(with_token for _, _, with_token in double.requests[before:])
