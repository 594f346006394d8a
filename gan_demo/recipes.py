"""The recipes: what to train, as data. Adding a GAN is one entry here, and a network file only when its network is new.

`python -m gan_demo.recipes` prints the table of published facts against what runs (kept in gan_demo/RECIPES.md).
"""

from dataclasses import replace

from gan_demo.errors import GanDemoError
from gan_demo.recipe import Option, Recipe, facts_table

EMA_FACT = ("moving average", "none", "decay 0.999, warmed up; `--ema 0` keeps the raw generator as published")
DCGAN_MNIST_FACTS = (
    ("latent", "16, normal", "the same"),
    ("generator", "linear 256x7x7, 5x5 conv 128, 4x4 stride-2 transposed conv 64 and 1; batch norm, leaky ReLU, tanh",
     "the same; leaky slope 0.2, no bias before a batch norm"),
    ("discriminator", "5x5 stride-2 conv 64 and 128, leaky ReLU, dropout 0.3, linear, sigmoid",
     "the same; the sigmoid lives in the loss (BCE with logits, the same number without overflow)"),
    ("loss", "BCE; discriminator (real + fake) / 2", "the same"),
    ("optimiser", "Adam, discriminator 1e-3, generator 2e-4, betas (0.5, 0.999)", "the same"),
    ("batch, length", "32, 100 epochs", "the same"),
    ("weights at the start", "not said", "normal 0.02 (arXiv:1511.06434, section 4): what a DCGAN was tuned for"),
    EMA_FACT,
)  # fmt: skip
CONDITIONING_FACT = (
    "class", "the author's open exercise",
    "one-hot beside the latent, one-hot planes beside the image (arXiv:1411.1784, section 3.2)",
)  # fmt: skip
BALANCE_FACT = (
    "optimiser", "Adam, discriminator 1e-3, generator 2e-4, betas (0.5, 0.999)",
    "Adam 2e-4 for both, tried on MNIST: with a class to tell, the discriminator at 1e-3 forgets what it learnt. After "
    "3 epochs 96.5% of the digits are those asked for and the Frechet distance is 0.14; with 1e-3 it was 93% and 0.32 "
    "at best, then worse",
)  # fmt: skip

SLIM = Option(
    "small networks and large learning rates: digits after a minute or so, for a talk",
    {
        "latent_size": 8,
        "generator_widths": (64, 64, 32),
        "discriminator_widths": (32, 64),
        "learning_rates": (2e-3, 1e-3),
        "adversarial_weight": 1.0,
        "discriminator_dropout": 0.0,
        "ema": 0.99,
    },
    {
        "latent": "8, normal",
        "generator": "linear 64x7x7, the same layers of 64, 32 and 1; leaky slope 0.2, no bias before a batch norm",
        "discriminator": "the same layers of 32 and 64, no dropout; the sigmoid lives in the loss",
        "loss": "BCE, real + fake",
        "optimiser": "Adam, generator 2e-3, discriminator 1e-3, betas (0.5, 0.999)",
        "batch, length": "32, as long as one looks",
        "moving average": "decay 0.99, warmed up",
    },
)
CLASSIFIER = Option(
    "the discriminator is not told the class but has to find it, and both networks work for that (arXiv:1610.09585)",
    {"class_weight": 0.5},
    {
        "class": "one-hot beside the latent; the discriminator has one output more for each class",
        "loss": "the same, and half the class loss L_C of real and fake images in both networks",
        "optimiser": "Adam 2e-4 for both, betas (0.5, 0.999), as without this option",
    },
)
SLIM_CLASSIFIER = Option(
    "small networks, a strong auxiliary classifier and large learning rates: recognisable in a minute, for a talk",
    {**SLIM.changes, "batch_size": 64, "class_weight": 3.0},
    {
        **SLIM.facts,
        "class": CLASSIFIER.facts["class"],
        "loss": "BCE, real + fake, and thrice the class loss L_C of both in both networks (arXiv:1610.09585)",
        "batch, length": "64, as long as one looks",
    },
)

DCGAN_MNIST = Recipe(
    name="dcgan-mnist",
    title="DCGAN on MNIST",
    dataset="mnist",
    image_size=28,
    channels=1,
    latent_size=16,
    network="dcgan_small",
    generator_widths=(256, 128, 64),
    discriminator_widths=(64, 128),
    batch_size=32,
    epochs=100,
    learning_rates=(2e-4, 1e-3),
    adversarial_weight=0.5,
    discriminator_dropout=0.3,
    options={"slim": SLIM},
    facts=DCGAN_MNIST_FACTS,
)


def _conditional(name: str, title: str, dataset: str) -> Recipe:
    facts = (CONDITIONING_FACT, BALANCE_FACT, *(fact for fact in DCGAN_MNIST_FACTS if fact[0] != BALANCE_FACT[0]))
    own = replace(DCGAN_MNIST, name=name, title=title, dataset=dataset, facts=facts)
    options = {"classifier": CLASSIFIER, "slim": SLIM_CLASSIFIER}
    return replace(own, conditional=True, learning_rates=(2e-4, 2e-4), options=options)


MLP_FASHION = Recipe(
    name="mlp-fashion",
    title="MLP GAN on Fashion-MNIST",
    dataset="fashion-mnist",
    image_size=28,
    channels=1,
    latent_size=100,
    network="mlp",
    generator_widths=(32, 64, 128),
    discriminator_widths=(128, 64, 32),
    batch_size=64,
    epochs=200,
    learning_rates=(2e-3, 2e-3),
    betas=(0.9, 0.999),
    real_labels=(0.9, 0.9),
    generator_dropout=0.3,
    discriminator_dropout=0.3,
    facts=(
        ("latent", "100 (the course it follows)", "100, normal"),
        ("generator", "mirror of the discriminator, tanh; sizes not printed; the course: 32-64-128",
         "100-32-64-128-784, leaky ReLU 0.2, dropout 0.3 as in the mirror, tanh"),
        ("discriminator", "linear layers, leaky ReLU, logits; the course: 128-64-32, dropout 0.3",
         "784-128-64-32-1, leaky ReLU 0.2, dropout 0.3"),
        ("loss", "BCE with logits, real + fake; generator on flipped labels", "the same"),
        ("real labels", "the course smooths them to 0.9 for the discriminator", "0.9 one-sided"),
        ("optimiser", "two Adam; the course: 2e-3", "Adam 2e-3, betas (0.9, 0.999): not said, Adam's own"),
        ("batch, length", "32 to 128, 200 epochs", "64, 200 epochs"),
        ("weights at the start", "not said", "PyTorch's own for linear layers"),
        EMA_FACT,
    ),
)  # fmt: skip

DROPOUT = Option(
    "dropout in the discriminator, as mlp-fashion's course has it; no digit dies out, and the Frechet distance is 0.70 "
    "after 20 epochs, where it is 5.5 without and gets worse",
    {"discriminator_dropout": 0.3},
    {"discriminator": "the same, and dropout 0.3; the sigmoid lives in the loss (BCE with logits)"},
)

MLP_MNIST = Recipe(
    name="mlp-mnist",
    title="MLP GAN on MNIST",
    dataset="mnist",
    image_size=28,
    channels=1,
    latent_size=100,
    network="mlp",
    generator_widths=(256, 512, 1024),
    discriminator_widths=(1024, 512, 256),
    batch_size=64,
    epochs=100,
    learning_rates=(2e-4, 2e-4),
    options={"dropout": DROPOUT},
    facts=(
        ("latent", "100", "100, normal"),
        ("generator", "100-256-512-1024-784, leaky ReLU 0.2, tanh", "the same"),
        ("discriminator", "784-1024-512-256-1, leaky ReLU 0.2, sigmoid",
         "the same; the sigmoid lives in the loss (BCE with logits); no dropout, none is printed"),
        ("loss", "BCE", "the same"),
        ("k", "a knob: too small and too large both fail", "1; `--k N` turns it"),
        ("optimiser", "not said", "Adam 2e-4, betas (0.5, 0.999): the field's usual choice since DCGAN"),
        ("batch, length", "not said", "64, 100 epochs: the losses are flat by then"),
        ("weights at the start", "not said", "PyTorch's own for linear layers"),
        EMA_FACT,
    ),
)  # fmt: skip

DCGAN_ANIME = Recipe(
    name="dcgan-anime",
    title="DCGAN on anime faces",
    dataset="anime",
    image_size=64,
    channels=3,
    latent_size=100,
    network="dcgan",
    generator_widths=(256, 128, 64, 32),
    discriminator_widths=(32, 64, 128, 256),
    batch_size=64,
    epochs=100,
    learning_rates=(1.5e-4, 1.5e-4),
    real_labels=(0.8, 1.0),
    fake_labels=(0.0, 0.2),
    generator_labels=(0.8, 1.0),
    batch_norm_momentum=0.5,
    facts=(
        ("latent", "100, normal", "the same"),
        ("generator", "transposed convolutions from 4x4 doubling to 64x64, channels halving, one more plain "
         "convolution in the middle, batch norm (momentum 0.5), leaky ReLU, tanh",
         "256-128-64-32 channels, 4x4 kernels, the plain 3x3 convolution at 32x32, leaky slope 0.2"),
        ("discriminator", "strided convolutions, one dense sigmoid",
         "32-64-128-256 channels, 4x4 stride 2, batch norm but on the first, the sigmoid in the loss"),
        ("labels", "real in [0.8, 1], fake in [0, 0.2], generator towards the noisy real labels", "the same"),
        ("optimiser", "Adam 1.5e-4, beta1 0.5", "the same, beta2 0.999"),
        ("batch, length", "not said; pictures every 100 steps",
         "64, 100 epochs (33,800 steps); tried for 66 of them it is best after 14 (sliced Wasserstein distance 22), "
         "then all faces become one (76 after 21, 126 at the end)"),
        ("widths", "not said", "half of what DCGANs usually have: 100 epochs take an hour on two CPU cores with AMX, "
         "and sixteen snapshots 18 MB"),
        ("weights at the start", "not said", "normal 0.02 (arXiv:1511.06434, section 4)"),
        EMA_FACT,
    ),
)  # fmt: skip

ACGAN_CIFAR10 = Recipe(
    name="acgan-cifar10",
    title="ACGAN on CIFAR-10",
    dataset="cifar10",
    image_size=32,
    channels=3,
    latent_size=100,
    network="acgan",
    generator_widths=(192, 96, 48),
    discriminator_widths=(16, 32, 64, 128, 256, 512),
    batch_size=100,
    epochs=100,
    learning_rates=(2e-4, 2e-4),
    conditional=True,
    class_weight=1.0,
    discriminator_dropout=0.5,
    facts=(
        ("latent", "noise z and a class label c", "100 normal and the class one-hot: 110 in all, as in the paper"),
        ("generator", "transposed convolutions with ReLU",
         "linear 192x4x4, 5x5 stride-2 transposed conv 96, 48, 3, batch norm, ReLU, tanh: arXiv:1610.09585, table 2, "
         "at half of its widths, so that sixteen snapshots are 15 MB"),
        ("discriminator", "convolutions with leaky ReLU; two heads: source (sigmoid), class (softmax)",
         "3x3 conv 16-32-64-128-256-512, every second of stride 2 from the first on, batch norm but on the first, "
         "leaky ReLU 0.2, dropout 0.5 (arXiv:1610.09585, table 2); sigmoid and softmax in the loss"),
        ("loss", "L_S + L_C: both networks maximise L_C, minimax on L_S", "the same; L_C on real and fake alike"),
        ("optimiser", "Adam 2e-4", "the same, betas (0.5, 0.999) as in the paper"),
        ("batch, length", "100, 100 epochs", "the same"),
        ("weights at the start", "not said", "normal 0.02 as in the paper"),
        EMA_FACT,
    ),
)  # fmt: skip

R3GAN_FACTS = (
    ("loss", "which of a real and a fake image is the real one (relativistic pairing), R1 and R2", "the same"),
    ("blocks", "residual, no normalisation: 1x1 convolution to twice the width, 3x3 in groups of 16 channels, 1x1 "
     "back; leaky ReLU 0.2; two at each size", "the same"),
    ("resampling", "[1, 2, 1] interpolation, 1x1 convolution where the width changes",
     "the same in the generator, 2x2 means in the discriminator"),
    ("ends", "4x4 learnt basis times a linear layer of the latent; no tanh", "the same"),
    ("weights at the start", "Fix-up (arXiv:1901.09321): every block the identity", "the same"),
    ("class", "embedded beside the latent; projection in the discriminator (arXiv:1802.05637)", "the same"),
)  # fmt: skip

MODERN_CIFAR10 = Recipe(
    name="modern-cifar10",
    title="Modern GAN on CIFAR-10",
    dataset="cifar10",
    image_size=32,
    channels=3,
    latent_size=64,
    network="residual",
    generator_widths=(192, 144, 80, 48),
    discriminator_widths=(96, 192, 384, 512),
    batch_size=256,
    epochs=130,
    learning_rates=(2e-4, 2e-4),
    betas=(0.0, 0.99),
    conditional=True,
    loss="relativistic",
    gradient_penalty=0.05,
    augment=("mirror", "translation", "cutout"),
    annealing=(6_500_000, 0.25, 0.1),
    ema=0.9995,
    facts=(
        ("latent", "64, normal", "the same"),
        *R3GAN_FACTS,
        ("widths", "768 at every size, in both networks",
         "generator 192-144-80-48: 0.2 GFLOP an image, for a page on two CPU cores; discriminator 96-192-384-512"),
        ("gamma", "0.05 falling to 0.005 over 20 million images", "the same over 6.5 million, in twenty stairs"),
        ("optimiser", "Adam 2e-4 falling to 5e-5 as gamma does, betas (0, 0.9 rising to 0.99)",
         "the same, beta2 0.99 from the start"),
        ("augmentation", "that of StyleGAN2-ADA, probability rising to 0.55, and mirrored images",
         "mirror of real images, translation, cutout (arXiv:2006.10738)"),
        ("moving average", "half-life rising to 5 million images", "decay 0.9995: half-life 355,000 images"),
        ("batch, length", "512, far more than 20 million images",
         "256, 130 epochs (25,350 steps, 6.5 million images): 12 GFLOP an image, so 20 minutes on one H200 where it "
         "sustains 65 TFLOP/s (5,400 images/s): an estimate"),
    ),
)  # fmt: skip

MODERN_ANIME = Recipe(
    name="modern-anime",
    title="Modern GAN on anime faces",
    dataset="anime",
    image_size=64,
    channels=3,
    latent_size=64,
    network="residual",
    generator_widths=(160, 96, 48, 32, 16),
    discriminator_widths=(48, 96, 192, 384, 512),
    batch_size=256,
    epochs=200,
    learning_rates=(2e-4, 2e-4),
    betas=(0.0, 0.99),
    loss="relativistic",
    gradient_penalty=2.0,
    augment=("mirror", "colour", "translation", "cutout"),
    annealing=(4_000_000, 0.25, 0.1),
    ema=0.9995,
    facts=(
        ("latent", "64, normal", "the same"),
        *R3GAN_FACTS[:-1],
        ("widths", "768-768-768-768-384 (FFHQ 64x64), in both networks",
         "generator 160-96-48-32-16: 0.2 GFLOP an image, for a page on two CPU cores; discriminator 48-96-192-384-512"),
        ("gamma", "2 falling to 0.2 over 20 million images (FFHQ 64x64)", "the same over 4 million, in twenty stairs"),
        ("optimiser", "Adam 2e-4 falling to 5e-5 as gamma does, betas (0, 0.9 rising to 0.99)",
         "the same, beta2 0.99 from the start"),
        ("augmentation", "that of StyleGAN2-ADA, and mirrored images",
         "mirror of real images, colour, translation, cutout (arXiv:2006.10738): 21,678 faces are few"),
        ("moving average", "half-life rising to 500,000 images", "decay 0.9995: half-life 355,000 images"),
        ("batch, length", "256, far more than 20 million images",
         "256, 200 epochs (16,800 steps, 4.3 million images): 18 GFLOP an image, so 20 minutes on one H200 where it "
         "sustains 65 TFLOP/s (3,600 images/s): an estimate"),
    ),
)  # fmt: skip

TOY_RING = Recipe(
    name="toy-ring",
    title="Toy GAN on a ring",
    dataset="ring",
    image_size=32,
    channels=1,
    latent_size=2,
    network="point",
    generator_widths=(64, 64),
    discriminator_widths=(64, 64),
    batch_size=128,
    epochs=40,
    learning_rates=(1e-3, 1e-3),
    ema=0.9,
    facts=(
        ("data", "points in the plane: a ring, clouds (GAN Lab, arXiv:1809.01587)",
         "10,000 points on a ring of radius 0.8; each is a picture of one dot, so that it fits this run folder"),
        ("latent", "2, normal or even", "2, normal"),
        ("generator", "one or a few small layers", "2-64-64-2, leaky ReLU 0.2, tanh, then drawn as a dot"),
        ("discriminator", "one or a few small layers", "where the dot is: 2-64-64-1, leaky ReLU 0.2"),
        ("loss", "log loss", "BCE with logits"),
        ("optimiser", "SGD or Adam", "Adam 1e-3, betas (0.5, 0.999): their shape is there after seconds"),
        ("batch, length", "150; as long as one looks", "128, 40 epochs (3,120 steps)"),
        ("moving average", "none", "decay 0.9: smooth to look at, ten steps behind"),
    ),
)  # fmt: skip

CLOUDS_FACT = (
    "data", "points in the plane: a ring, clouds (GAN Lab, arXiv:1809.01587)",
    "10,000 points in eight clouds; each is a picture of one dot, so that it fits this run folder",
)  # fmt: skip

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        MLP_FASHION,
        MLP_MNIST,
        DCGAN_ANIME,
        DCGAN_MNIST,
        ACGAN_CIFAR10,
        _conditional("cdcgan-mnist", "Conditional DCGAN on MNIST", "mnist"),
        _conditional("cdcgan-fashion", "Conditional DCGAN on Fashion-MNIST", "fashion-mnist"),
        MODERN_CIFAR10,
        MODERN_ANIME,
        TOY_RING,
        replace(
            TOY_RING,
            name="toy-mixture",
            title="Toy GAN on eight clouds",
            dataset="mixture",
            facts=(CLOUDS_FACT, *TOY_RING.facts[1:]),
        ),
    )
}


def get(name: str) -> Recipe:
    """The recipe of that name, or GanDemoError naming those there are."""
    if name not in RECIPES:
        raise GanDemoError(f"no recipe is called {name[:60]!r}: choose one of {', '.join(RECIPES)}")
    return RECIPES[name]


def markdown() -> str:
    """All recipes against their tutorials: the text of gan_demo/RECIPES.md."""
    parts = []
    for recipe in RECIPES.values():
        parts += [f"## {recipe.name}: {recipe.title}", facts_table(recipe)]
        parts += [f"`--with {name}`: {option.why}. It sets {option.told()}." for name, option in recipe.options.items()]
    title = "# The recipes: what was published, what runs"
    lead = (
        '"Published" is what the tutorial of that recipe prints; for `modern-*` it is R3GAN (arXiv:2501.05441), for '
        '`toy-*` GAN Lab (arXiv:1809.01587). "Not said" means that the choice is ours.'
    )
    return "\n\n".join([title, lead, *parts]) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
