"""What a person would lose with the modern recipes: the paper's method, and a generator that plays at once."""

import math
import runpy
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import fit, run_as_two, small
from PIL import Image
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gan_demo import augment, card, film, recipes
from gan_demo.cost import cost, discriminator_of, generator_of
from gan_demo.errors import GanDemoError
from gan_demo.gan import GAN
from gan_demo.losses import LOSSES, squared_gradient_norm
from gan_demo.networks import Verdict, build, build_generator
from gan_demo.networks.residual import Convolution, Double, Grouped
from gan_demo.parallel import World
from gan_demo.player import open_run
from gan_demo.run import Run

MODERN = [recipes.get("modern-cifar10"), recipes.get("modern-anime")]


DIGITS = small(MODERN[0], channels=1, dataset="mnist", annealing=(64, 0.25, 0.1))


@pytest.fixture(scope="module")
def digits(mnist):
    """256 real digits with a margin: 32x32, as the networks need."""
    margin = ((0, 0), (0, 0), (2, 2), (2, 2))
    return replace(mnist, pixels=np.pad(mnist.pixels[:256], margin), labels=mnist.labels[:256])


@pytest.fixture(scope="module")
def modern_run(digits, tmp_path_factory):
    return fit(DIGITS, digits, tmp_path_factory.mktemp("runs") / "modern", length=8, snapshots=4)


def test_the_penalty_is_the_squared_length_of_the_gradient_worked_out_by_hand():
    """D(x) = a sum x^2 + b sum x: its gradient is 2 a x + b, and the penalty's gradient by a and b is known too."""
    a, b = torch.tensor(0.7, requires_grad=True), torch.tensor(-0.3, requires_grad=True)
    x = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
    penalty = squared_gradient_norm((a * x.square() + b * x).sum((1, 2, 3)), x)
    slope = 2 * 0.7 * x.detach() - 0.3
    torch.testing.assert_close(penalty.detach(), slope.square().sum((1, 2, 3)).mean())
    penalty.backward()
    torch.testing.assert_close(a.grad, (2 * slope * 2 * x.detach()).sum((1, 2, 3)).mean())
    torch.testing.assert_close(b.grad, (2 * slope).sum((1, 2, 3)).mean())


def test_the_relativistic_loss_is_its_formula_and_pairs_row_by_row():
    loss, recipe = LOSSES["relativistic"], small(MODERN[0], gradient_penalty=0.5)
    generator = torch.Generator().manual_seed(0)
    real, fake = ((torch.randn(4, 3, 2, 2, generator=generator), torch.arange(4)) for _ in range(2))

    def look(images: torch.Tensor, classes: torch.Tensor, first: int = 0) -> Verdict:
        return Verdict(images.sum((1, 2, 3)) + classes)

    def pairing(ahead: torch.Tensor) -> float:
        return sum(math.log(1 + math.exp(-float(one))) for one in ahead) / len(ahead)

    terms, scores = loss.discriminator(recipe, look, real, fake, None)
    terms = {name: value.detach() for name, value in terms.items()}
    ahead = real[0].sum((1, 2, 3)) - fake[0].sum((1, 2, 3))
    assert float(terms["d_pair"]) == pytest.approx(pairing(ahead), rel=1e-5)
    assert float(terms["r1"]) == float(terms["r2"]) == pytest.approx(0.5 / 2 * 3 * 2 * 2)  # a gradient of ones
    assert float(loss.generator(recipe, look, real, fake, None)["g"]) == pytest.approx(pairing(-ahead), rel=1e-5)
    assert float(scores["real_score"] + scores["fake_score"]) == pytest.approx(1)
    assert set(terms) == {"d_pair", "r1", "r2"}  # there is no auxiliary classifier


def test_penalties_of_a_share_of_the_batch_are_those_of_its_first_images_and_nothing_else_changes():
    recipe = small(MODERN[0], gradient_penalty=0.5, augment=("translation", "cutout"))
    gan = GAN(recipe, 10, World(torch.device("cpu")), torch.device("cpu"))
    random = torch.Generator().manual_seed(0)
    real, fake = ((torch.rand(8, 3, 32, 32, generator=random), torch.arange(8)) for _ in range(2))
    look, loss = gan._look(gan.discriminator, 8), LOSSES["relativistic"]
    whole, part = (
        loss.discriminator(replace(recipe, penalty_share=share), look, real, fake, gan.draw) for share in (1.0, 0.3)
    )
    torch.testing.assert_close([part[0]["d_pair"], part[1]], [whole[0]["d_pair"], whole[1]])
    few = (tuple(rows[:3] for rows in batch) for batch in (real, fake))
    first, _ = loss.discriminator(recipe, look, *few, gan.draw)
    torch.testing.assert_close([part[0][name] for name in ("r1", "r2")], [first[name] for name in ("r1", "r2")])
    assert not torch.allclose(part[0]["r1"], whole[0]["r1"])


def test_a_discriminator_of_patches_sees_every_pixel_at_fewer_places():
    recipe = small(MODERN[1], discriminator_patch=2, discriminator_widths=(16,) * 4)
    seen = torch.randn(2, 3, 64, 64, requires_grad=True)
    discriminator = build(recipe, 0)[1]
    assert discriminator.layers[0](seen).shape == (2, 12, 32, 32) and discriminator.basis.shape == (16, 4, 4)
    (slope,) = torch.autograd.grad(discriminator(seen).source.sum(), seen)
    assert bool((slope != 0).all())
    with pytest.raises(GanDemoError, match="of 64 pixels, which it makes 24 times smaller: choose a multiple of 24"):
        build(replace(recipe, discriminator_patch=3), 0)


def test_the_relativistic_loss_trains_an_auxiliary_classifier_too():
    loss, recipe = (
        LOSSES["relativistic"],
        replace(recipes.get("acgan-cifar10").having("relativistic"), class_weight=2.0),
    )
    real, fake = ((images, torch.tensor([0, 1, 1])) for images in torch.randn(2, 3, 2, 1, 1))

    def look(images: torch.Tensor, *_: object) -> Verdict:
        return Verdict(images.sum((1, 2, 3)), images[:, :, 0, 0])

    terms, _ = loss.discriminator(recipe, look, real, fake, None)
    assert torch.equal(terms["d_class"], 2 * F.cross_entropy(real[0][:, :, 0, 0], real[1]))  # of real images alone
    terms = loss.generator(recipe, look, real, fake, None)
    assert torch.equal(terms["g_class"], 2 * F.cross_entropy(fake[0][:, :, 0, 0], fake[1]))


@pytest.mark.parametrize("name", augment.WAYS)
def test_an_augmentation_changes_images_alike_and_has_gradients_of_every_order(name):
    random = torch.Generator().manual_seed(0)
    images = torch.randn(6, 3, 16, 16, dtype=torch.double, generator=random)
    changed = augment.augmentation((name,), lambda count: torch.rand(6, count, generator=random).double())
    assert torch.equal(changed(images), changed(images)) and not torch.equal(changed(images), images)
    assert torch.equal(augment.augmentation((), lambda _: pytest.fail("draws numbers for nothing"))(images), images)
    few = images[:, :1, :8, :8].clone().requires_grad_()
    assert torch.autograd.gradcheck(changed, few) and torch.autograd.gradgradcheck(changed, few)


@pytest.mark.parametrize(
    "make",
    [lambda: Grouped(32), lambda: Convolution(8, 24), lambda: Convolution(8, 24, bias=False)],
    ids=["grouped", "1x1", "1x1-without-bias"],
)
def test_a_convolution_under_a_penalty_is_torchs_own_with_all_gradients_of_gradients(make):
    torch.manual_seed(0)
    ours = make().double()
    x = torch.randn(2, ours.in_channels, 5, 5, dtype=torch.double, requires_grad=True)
    ends, layers = [], (ours, lambda x: nn.Conv2d.forward(ours, x))
    for layer in layers:
        out = layer(x).pow(3).sum()
        (slope,) = torch.autograd.grad(out, x, create_graph=True)
        ends.append([out, slope, *torch.autograd.grad(slope.square().sum() + out, (x, *ours.parameters()))])
    torch.testing.assert_close(*ends)
    ours.float()
    x = x.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        outs = [layer(x) for layer in layers]
    assert torch.equal(*outs) and torch.equal(*(torch.autograd.grad(out.square().sum(), x)[0] for out in outs))


def test_no_penalty_takes_a_whole_image_for_a_kernel():
    """Torch's own convolutions do in their second backward, and on a GPU that is no kernel anybody made fast."""
    kernels = set()

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            if function is torch.ops.aten.convolution.default:
                kernels.add(tuple(args[1].shape[2:]))
            return function(*args, **(kwargs or {}))

    gan = GAN(DIGITS, 10, World(torch.device("cpu")), torch.device("cpu"))
    with Watch():
        gan.train_discriminator(DIGITS, (torch.rand(16, 1, 32, 32), torch.arange(16) % 10))
    assert kernels == {(1, 1), (3, 3)}


def test_twice_the_size_is_bilinear_and_nothing_moves():
    double, x = Double(), torch.randn(2, 3, 4, 5, dtype=torch.double, requires_grad=True)
    torch.testing.assert_close(double(x), nn.functional.interpolate(x, scale_factor=2, mode="bilinear"))
    torch.testing.assert_close(double(x.flip(2, 3)), double(x).flip(2, 3))
    assert torch.autograd.gradcheck(double, x) and torch.autograd.gradgradcheck(double, x)
    blob = torch.zeros(1, 1, 4, 4)
    blob[..., 1:3, 1:3] = 1
    across = double(double(double(blob))).sum((0, 1, 2))
    assert float((across * torch.arange(32)).sum() / across.sum()) == pytest.approx(15.5)


def test_rates_fall_by_real_images_however_many_batches_a_step_takes():
    """As epochs are counted: with k = 2 it would else end half-way."""
    cpu = torch.device("cpu")
    gan = GAN(replace(DIGITS, discriminator_steps=2), 10, World(cpu), cpu)
    batch = torch.zeros(16, 1, 32, 32, dtype=torch.uint8), torch.arange(16) % 10
    for _ in range(2):
        gan.step([batch] * 2)
    assert gan.batches == 4 and DIGITS.annealing[0] == 64 == gan.batches * 16
    gan.step([batch] * 2)
    assert gan.generator_adam.param_groups[0]["lr"] == pytest.approx(DIGITS.learning_rates[0] * DIGITS.annealing[1])


def test_real_images_alone_are_mirrored():
    gan = GAN(small(MODERN[1], augment=("mirror",)), 0, World(torch.device("cpu")), torch.device("cpu"))
    pixels = torch.randint(256, (64, 3, 64, 64), dtype=torch.uint8)
    shown = gan.real_images(pixels)
    turned = [torch.equal(a, b.flip(2)) for a, b in zip(shown, gan.normalise(pixels), strict=True)]
    assert 16 < sum(turned) < 48 and sum(map(torch.equal, shown, gan.normalise(pixels))) == 64 - sum(turned)
    seen = []
    look = gan._look(lambda images, _: seen.append(images), 64)
    look(shown, torch.zeros(64, dtype=torch.int64))
    assert torch.equal(seen[0], shown)


def test_what_is_moved_is_moved_whole_and_half_of_a_side_is_hidden():
    x = torch.arange(1.0, 257).view(1, 1, 16, 16)
    numbers = torch.tensor([[0.99, 0.0]])  # two down, two to the left
    moved = augment.translation(x, numbers)
    assert torch.equal(moved[0, 0, 2:, :-2], x[0, 0, :-2, 2:]) and not moved[0, 0, :2].any()
    hidden = augment.cutout(x, torch.tensor([[0.5, 0.5]])) == 0
    assert int(hidden.sum()) == 8 * 8 and hidden[0, 0, 4:12, 4:12].all()
    for number in (0.0, 0.999):  # half of it may lie outside
        assert int((augment.cutout(x, torch.tensor([[number, 0.5]])) == 0).sum()) == 4 * 8
    torch.testing.assert_close(augment.colour(x.expand(1, 3, 16, 16), torch.full((1, 3), 0.5)), x.expand(1, 3, 16, 16))


@pytest.mark.parametrize("recipe", MODERN, ids=lambda recipe: recipe.name)
def test_the_generator_is_small_enough_for_a_page(recipe):
    classes = 10 if recipe.conditional else 0
    with torch.device("meta"):
        generator = build_generator(recipe, classes)
    assert sum(weights.numel() for weights in generator.parameters()) <= 2_000_000
    z = torch.empty(1, recipe.latent_size, device="meta")
    assert 2 * cost(generator, z, classes).products <= 0.2e9


@pytest.mark.parametrize("recipe", recipes.RECIPES.values(), ids=lambda recipe: recipe.name)
def test_what_an_image_costs_is_known_of_every_recipe(recipe):
    classes = 10 if recipe.conditional else 0
    generator = generator_of(recipe, classes, recipe.name)
    assert cost(generator, torch.empty(1, recipe.latent_size, device="meta"), classes).products > 1000
    discriminator = discriminator_of(recipe, classes, recipe.name)
    image = torch.empty(1, recipe.channels, recipe.image_size, recipe.image_size, device="meta")
    assert cost(discriminator, image, classes).products > 100


def test_rates_and_penalty_fall_with_the_images_seen():
    recipe = MODERN[0]
    end = recipe.annealing[0]
    middle, late = recipe.annealed(end // 2), recipe.annealed(2 * end)
    assert recipe.annealed(0) == recipe and recipe.gradient_penalty == 0.05
    assert middle.learning_rates[0] == pytest.approx(1.25e-4) and middle.gradient_penalty == pytest.approx(0.0275)
    assert late.learning_rates == pytest.approx((5e-5, 5e-5)) and late.gradient_penalty == pytest.approx(0.005)
    assert recipes.get("dcgan-mnist").annealed(10**9) is recipes.get("dcgan-mnist")


def test_a_fresh_network_keeps_the_scale_of_what_goes_through_it():
    """Fix-up: no normalisation, and yet neither dying nor exploding pictures and verdicts at step 0."""
    torch.manual_seed(0)
    generator, discriminator = build(MODERN[0], 10)
    classes = nn.functional.one_hot(torch.arange(16) % 10, 10).float()
    with torch.no_grad():
        images = generator(torch.randn(16, 64), classes)
        assert 0.3 < float(images.std()) < 3
        assert 0.01 < float(discriminator(images, classes).source.std()) < 3
        assert float(discriminator.embedding.weight.std() * math.sqrt(10 * 64)) == pytest.approx(1, rel=0.1)  # R3GAN's


def test_a_modern_run_is_played_and_its_history_and_config_say_what_it_is(modern_run):
    run = Run(modern_run.run.path)
    assert run.config.as_recipe() == replace(modern_run.recipe, title="Modern GAN on MNIST")
    assert run.config.hyperparameters["augment"] == ("mirror", "translation", "cutout")
    row = run.read_history()[-1]
    assert {"d_pair", "r1", "r2", "g"} <= set(row) and row["real_score"] + row["fake_score"] == pytest.approx(1)
    player = open_run(run.path)
    pictures = player.generate([5, 5], classes=[0, 1])
    assert (pictures[0] != pictures[1]).any()
    assert player.verdict(pictures, [0, 1]) is None  # it compares, and says nothing of a picture alone
    assert np.abs(player.film([5], [0])[0].astype(int) - player.film([5], [0])[-1]).max() > 0


def test_the_samples_are_drawn_with_the_recipe_s_guidance(digits, tmp_path):
    run = fit(replace(DIGITS, guidance=3.0), digits, tmp_path / "run", length=2, snapshots=2).run
    assert run.config.hyperparameters["guidance"] == 3
    player = open_run(run.path)
    drawn = np.asarray(Image.open(run.path / "samples" / "step-00000002.png"), float)

    def apart(guidance: float | None) -> float:
        grid = film.grid(player.generate(range(16), guidance=guidance), 4)[:, :, 0]
        return float(np.abs(drawn - grid).mean())

    assert 4 * apart(None) < apart(1)
    assert "; guidance 3" in card.text(run, None)  # the recipe has another


def test_a_resumed_modern_run_ends_as_the_unbroken_one(modern_run, digits, tmp_path, monkeypatch):
    from gan_demo.training import Trainer

    step = Trainer.train_step

    def stopping(self):
        step(self)
        self.stopped_by = "SIGTERM" if self.step == 3 else ""

    monkeypatch.setattr(Trainer, "train_step", stopping)
    assert fit(DIGITS, digits, tmp_path / "broken", length=8, snapshots=4).step == 3
    monkeypatch.undo()
    broken = fit(DIGITS, digits, tmp_path / "broken", length=8, snapshots=4, resume=True)
    assert [one.sha256 for one in broken.run.snapshots] == [one.sha256 for one in modern_run.run.snapshots]
    for side in ("generator", "discriminator"):
        ends = [getattr(run.gan, side).state_dict() for run in (broken, modern_run)]
        assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0]), side


SHARE = """
import sys, torch
from dataclasses import replace
from gan_demo import recipes
from gan_demo.gan import GAN
from gan_demo.parallel import World
torch.set_num_threads(1)
world, cpu = World(torch.device("cpu")), torch.device("cpu")
narrow = {"generator_widths": (16,) * 4, "discriminator_widths": (16,) * 4}
recipe = replace(recipes.get("modern-cifar10"), batch_size=8, **narrow)
gan = GAN(recipe, 10, world, cpu)
pixels = torch.randint(256, (8, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
for _ in range(3):
    terms = gan.step([(world.share(pixels), world.share(torch.arange(8)))])
if world.first:
    torch.save([gan.generator.state_dict(), gan.discriminator.state_dict()], sys.argv[1])
world.leave()
"""


def test_two_processes_share_a_modern_batch_as_one_takes_it(tmp_path, monkeypatch):
    """Gradients of gradients are averaged too: after three steps nearly all weights agree to rounding."""
    script = tmp_path / "share.py"
    script.write_text(SHARE)
    run_as_two(str(script), str(tmp_path / "two"))
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path / "one")])
    runpy.run_path(str(script))
    for one, two in zip(*(torch.load(tmp_path / name) for name in ("one", "two")), strict=True):
        apart = torch.cat([(one[name] - two[name]).abs().flatten() for name in one])
        assert float(apart.quantile(0.99)) < 2e-6 and float(apart.max()) < MODERN[0].learning_rates[0]
