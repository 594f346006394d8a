"""Points in the plane (GAN Lab, arXiv:1809.01587): both networks are seen whole."""

from dataclasses import replace

from gan_demo.recipe import Recipe

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

TOY_MIXTURE = replace(
    TOY_RING,
    name="toy-mixture",
    title="Toy GAN on eight clouds",
    dataset="mixture",
    facts=(CLOUDS_FACT, *TOY_RING.facts[1:]),
)
