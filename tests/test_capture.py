"""What a person would lose to speed: the same training, only faster."""

import copy
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from conftest import small

from gan_demo import capture, recipes
from gan_demo.devices import choose_device
from gan_demo.gan import GAN
from gan_demo.parallel import World

RECIPES = [
    small(recipes.get("dcgan-mnist"), discriminator_steps=2),
    small(recipes.get("acgan-cifar10")),
    small(recipes.get("modern-cifar10"), annealing=(1600, 0.25, 0.1)),
]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="capturing a CUDA graph needs a GPU, and there is none here")
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_captured_step_is_the_eager_one(recipe, precision):
    """Twenty steps, with dropout, noisy labels, augmentation and falling rates: losses and weights agree."""
    device = choose_device("cuda")
    classes = 10 if recipe.conditional else 0
    captured, eager = (GAN(recipe, classes, World(device), device, precision) for _ in range(2))
    eager.updates = eager.update
    ends = []
    for gan in (captured, eager):
        torch.manual_seed(1)
        shape = (recipe.batch_size, recipe.channels, recipe.image_size, recipe.image_size)
        rows = []
        for _ in range(20):
            batches = [
                (
                    torch.randint(256, shape, dtype=torch.uint8).to(device),
                    torch.randint(classes or 1, shape[:1]).to(device),
                )
                for _ in range(recipe.discriminator_steps)
            ]
            rows.append(torch.stack([term.detach() for term in gan.step(batches).values()]))
        weights = [value.flatten().float() for value in gan.average.module.state_dict().values()]
        ends.append((torch.stack(rows), torch.cat(weights), gan.random.get_state()))
    assert captured.way == "captured" and captured.updates.graph is not None
    (rows, weights, random), (rows_eager, weights_eager, random_eager) = ends
    torch.testing.assert_close(rows, rows_eager, rtol=1e-2, atol=1e-3)
    apart = (weights - weights_eager).abs()
    assert float(apart.quantile(0.99)) < 1e-5 and float(apart.max()) < max(recipe.learning_rates)
    assert torch.equal(random, random_eager)


class Random(torch.Generator):
    """A CPU's generator with the method that only a GPU's has."""

    def graphsafe_set_state(self, state: torch.Generator) -> None:
        self.set_state(state.get_state())


def test_a_step_that_cannot_be_captured_runs_eagerly_and_says_so(monkeypatch, capsys):
    """A stand-in for a GPU whose every capture fails at its end: one line, and all random numbers put back."""

    @contextmanager
    def failing(graph, stream):
        yield
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, double in {
        "Stream": lambda device: stream,
        "stream": lambda stream: nullcontext(),
        "current_stream": lambda: stream,
        "set_stream": lambda stream: None,
        "default_generators": [Random()],
        "CUDAGraph": SimpleNamespace,
        "graph": failing,
    }.items():
        monkeypatch.setattr(torch.cuda, name, double)
    recipe = small(recipes.get("dcgan-mnist"), discriminator_dropout=0.0)
    device, rows, states = torch.device("cpu"), [], []
    for tried in (True, False):
        gan = GAN(recipe, 0, World(device), device)
        gan.random = Random().manual_seed(0)
        if tried:
            gan.updates, gan.way = capture.Captured(gan), "captured"
        torch.manual_seed(1)
        shape = (recipe.batch_size, 1, 28, 28)
        batches = [(torch.randint(256, shape, dtype=torch.uint8), torch.zeros(shape[0], dtype=torch.int64))]
        rows.append([[float(term.detach()) for term in gan.step(batches).values()] for _ in range(capture.WARM_UP + 3)])
        assert gan.way == "eager"
        states.append(gan.random.get_state())
    assert torch.equal(*states)
    assert rows[0][: capture.WARM_UP] == rows[1][: capture.WARM_UP]
    assert "a step of dcgan-mnist cannot be captured, so it runs eagerly (operation not" in capsys.readouterr().err


def test_a_step_is_the_published_arithmetic():
    """Three steps in channels_last with a fused Adam beside the plain way: the same losses, the same weights."""
    recipe = small(recipes.get("cdcgan-mnist"), discriminator_dropout=0.0, generator_widths=(32, 32, 16), ema=0.0)
    device, size = torch.device("cpu"), recipe.batch_size
    gan = GAN(recipe, 10, World(device), device)
    generator, discriminator = (
        copy.deepcopy(network).to(memory_format=torch.contiguous_format)
        for network in (gan.generator, gan.discriminator)
    )
    adams = [
        torch.optim.Adam(network.parameters(), rate, recipe.betas)
        for network, rate in zip((generator, discriminator), recipe.learning_rates, strict=True)
    ]
    random, one, none = torch.Generator().manual_seed(0), torch.ones(size), torch.zeros(size)

    def fakes():
        z = torch.randn(size, recipe.latent_size, generator=random)
        classes = F.one_hot(torch.randint(10, (size,), generator=random), 10).float()
        return generator(z, classes), classes

    for _ in range(3):
        pixels, labels = torch.randint(256, (size, 1, 28, 28), dtype=torch.uint8), torch.randint(10, (size,))
        ours = gan.step([(pixels, labels)])

        fake, classes = fakes()
        adams[1].zero_grad()
        on_real = discriminator(pixels / 127.5 - 1, F.one_hot(labels, 10).float()).source
        on_fake = discriminator(fake.detach(), classes).source
        bce = F.binary_cross_entropy_with_logits
        d_real, d_fake = bce(on_real, one) / 2, bce(on_fake, none) / 2
        (d_real + d_fake).backward()
        adams[1].step()

        fake, classes = fakes()
        adams[0].zero_grad()
        g = bce(discriminator(fake, classes).source, one)
        g.backward()
        adams[0].step()
        for name, plain in {"d_real": d_real, "d_fake": d_fake, "g": g}.items():
            assert float(ours[name].detach()) == pytest.approx(float(plain.detach()), rel=1e-4)
    for network, plain in ((gan.generator, generator), (gan.discriminator, discriminator)):
        apart = torch.cat(
            [(a - b).detach().abs().flatten() for a, b in zip(network.parameters(), plain.parameters(), strict=True)]
        )
        assert float(apart.quantile(0.99)) < 1e-5 and float(apart.max()) < max(recipe.learning_rates)


def test_a_replayed_step_is_fed_the_batch_at_hand(monkeypatch):
    """A stand-in for a GPU whose graph does again what was recorded, from the buffers that it was recorded with."""
    recipe = small(recipes.get("modern-cifar10"), annealing=(64, 0.25, 0.1))
    captured, eager = (GAN(recipe, 10, World(torch.device("cpu")), torch.device("cpu")) for _ in range(2))
    update, recorded, recording = captured.update, [], []

    @contextmanager
    def graph(graph, stream):
        recording.append(True)
        yield
        recording.clear()

    def watched(recipe, batches):
        if not recording:
            return update(recipe, batches)
        recorded[:] = [recipe, batches]
        return {}

    def replay(_):
        captured.updates.terms = update(*recorded)

    stream = SimpleNamespace(wait_stream=lambda other: None)
    random = SimpleNamespace(clone_state=lambda: None)
    for name, double in {
        "Stream": lambda device: stream,
        "stream": lambda stream: nullcontext(),
        "current_stream": lambda: stream,
        "default_generators": [random],
        "CUDAGraph": type("Graph", (), {"replay": replay}),
        "graph": graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, double)
    captured.update = watched
    captured.updates, captured.way = capture.Captured(captured), "captured"
    for seed in range(capture.WARM_UP + 4):
        random_ = torch.Generator().manual_seed(seed)
        batch = torch.randint(256, (16, 3, 32, 32), dtype=torch.uint8, generator=random_), torch.arange(16) % 10
        ours, theirs = (gan.step([tuple(part.clone() for part in batch)]) for gan in (captured, eager))
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert captured.way == "captured"
