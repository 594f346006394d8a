"""DCGANs, with classes or without, and ACGAN."""

from dataclasses import replace

from gan_demo.recipe import EMA_FACT, Option, Recipe

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
HALF_CLASSIFIER = Option(
    "as `classifier`, both networks at half their widths: nearly three times as fast, and sixteen snapshots are 8 MB "
    "instead of 25",
    {**CLASSIFIER.changes, "generator_widths": (128, 64, 32), "discriminator_widths": (32, 64)},
    {
        **CLASSIFIER.facts,
        "generator": "linear 128x7x7, the same layers of 64, 32 and 1; leaky slope 0.2, no bias before a batch norm",
        "discriminator": "the same layers of 32 and 64; the sigmoid lives in the loss",
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


def conditional(name: str, title: str, dataset: str) -> Recipe:
    """DCGAN_MNIST with the class told to both networks."""
    facts = (CONDITIONING_FACT, BALANCE_FACT, *(fact for fact in DCGAN_MNIST_FACTS if fact[0] != BALANCE_FACT[0]))
    own = replace(DCGAN_MNIST, name=name, title=title, dataset=dataset, facts=facts)
    options = {"classifier": CLASSIFIER, "half": HALF_CLASSIFIER, "slim": SLIM_CLASSIFIER}
    return replace(own, conditional=True, learning_rates=(2e-4, 2e-4), options=options)


RELATIVISTIC = Option(
    "the discriminator says which of two faces is the real one, and is kept from being steep (arXiv:2501.05441): where "
    "without it all faces become one, they stay varied and still gain; half as fast",
    {
        "loss": "relativistic",
        "gradient_penalty": 1.0,
        "real_labels": (1.0, 1.0),
        "fake_labels": (0.0, 0.0),
        "generator_labels": (1.0, 1.0),
    },
    {
        "labels": "none: which of a real and a fake face is the real one (relativistic pairing), R1 and R2 of gamma 1, "
        "through batch norm, which the paper's networks do without",
        "batch, length": "64, 100 epochs (33,800 steps); tried for 26 of them: sliced Wasserstein distance 21 "
        "after 12 epochs, 16.7 after 16, 15.0 after 22, 14.5 after 26",
    },
)

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
    options={"relativistic": RELATIVISTIC},
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

RELATIVISTIC_ACGAN = Option(
    "the discriminator says which of two pictures is the real one, is kept from being steep (arXiv:2501.05441), and "
    "learns the classes from real pictures alone: the same Frechet distance after a third as many pictures, at half "
    "as many a second, and frogs of which a vision model knew seven in ten",
    {
        "loss": "relativistic",
        "gradient_penalty": 0.05,
        "fake_class_weight": 0.0,
        "discriminator_dropout": 0.0,
    },
    {
        "discriminator": "the same without dropout, the softmax in the loss",
        "loss": "relativistic pairing, R1 and R2 of gamma 0.05, through batch norm, which the paper's networks do "
        "without; L_C, in the discriminator on real pictures alone",
        "batch, length": "100, 100 epochs; tried for 21 of them: Frechet distance 4.6 and 54% of the classes as asked "
        "after 6, 2.5 and 73% after 16, 1.96 and 77% after 21",
    },
)

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
    options={"relativistic": RELATIVISTIC_ACGAN},
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
        ("batch, length", "100, 100 epochs",
         "the same; it still gains at the end, where its frogs are no more than a brown texture to a person"),
        ("weights at the start", "not said", "normal 0.02 as in the paper"),
        EMA_FACT,
    ),
)  # fmt: skip
