"""R3GAN (arXiv:2501.05441), at the size of a page that draws on two CPU cores."""

from gan_demo.recipe import Option, Recipe

R3GAN_FACTS = (
    ("loss", "which of a real and a fake image is the real one (relativistic pairing), R1 and R2", "the same"),
    ("blocks", "residual, no normalisation: 1x1 convolution to twice the width, 3x3 in groups of 16 channels, 1x1 "
     "back; leaky ReLU 0.2; two at each size", "the same"),
    ("resampling", "[1, 2, 1] interpolation, 1x1 convolution where the width changes",
     "the same in the generator but at the border, 2x2 means in the discriminator"),
    ("ends", "4x4 learnt basis times a linear layer of the latent; no tanh", "the same, with a bias in the last layer"),
    ("weights at the start", "Fix-up (arXiv:1901.09321): every block the identity", "the same"),
    (
        "class",
        "embedded beside the latent; projection in the discriminator (arXiv:1802.05637), in 768 numbers",
        "the same; in the discriminator in 64 numbers",
    ),
)  # fmt: skip

SLIM = "a small discriminator and small batches: a run that two CPU cores train in hours"
SLIM_CIFAR10 = Option(
    SLIM,
    {
        "discriminator_widths": (32, 64, 128, 256),
        "batch_size": 32,
        "epochs": 30,
        "augment": ("mirror",),
        "annealing": (1_500_000, 0.25, 0.1),
    },
    {
        "widths": "generator 192-144-80-48, as without this option; discriminator 32-64-128-256",
        "gamma": "the same over 1.5 million, in twenty stairs",
        "augmentation": "mirror of real images alone: so small a discriminator does not learn them by heart",
        "moving average": "decay 0.9995: half-life 44,000 images",
        "batch, length": "32, 30 epochs (46,860 steps, 1.5 million images): 65 images/s on two CPU cores without AMX",
    },
)
SLIM_ANIME = Option(
    SLIM,
    {
        "discriminator_widths": (32, 64, 128, 256),
        "discriminator_patch": 2,
        "penalty_share": 0.25,
        "gradient_penalty": 1.0,
        "learning_rates": (1.2e-3, 6e-4),
        "batch_size": 32,
        "epochs": 16,
        "augment": ("mirror",),
        "annealing": (346_000, 0.1, 0.1),
        "ema": 0.999,
    },
    {
        "loss": "the same, R1 and R2 of a quarter of each batch: half of a step went into their second backward",
        "resampling": "the same; the discriminator begins at 32x32, a 2x2 square of pixels at each place",
        "widths": "generator 160-96-48-32-16, as without this option; discriminator 32-64-128-256 from 32x32 on",
        "gamma": "1 falling to 0.1 over 346,000, in twenty stairs",
        "optimiser": "Adam 1.2e-3 in the generator, 6e-4 in the discriminator, falling to a tenth as gamma does, "
        "betas (0, 0.99); in trials of one seed, after 17,600 images at 2e-4 D(real) was 93%, at these rates 62%, "
        "with faces after 28,800; at twice them it fell apart within 9,600",
        "augmentation": "mirror of real images alone: so small a discriminator does not learn them by heart",
        "moving average": "decay 0.999: half-life 22,000 images",
        "batch, length": "32, 16 epochs (10,832 steps, 347,000 images): 58 images/s on two CPU cores without AMX",
    },
)

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
    guidance=1.3,
    ema=0.9995,
    options={"slim": SLIM_CIFAR10},
    facts=(
        ("latent", "64, normal", "the same"),
        *R3GAN_FACTS,
        ("guidance", "none",
         "1.3 (arXiv:2207.12598), on other pictures 1: a class is put so many times as far from the mean of all "
         "classes as it was trained"),
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
    options={"slim": SLIM_ANIME},
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
