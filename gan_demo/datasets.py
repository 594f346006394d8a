"""The published data sets: where each lies, what its pages say, and under which licence. Data only."""

from dataclasses import dataclass

MAX_CLASSES = 1000  # what a run folder may name


@dataclass(frozen=True)
class Dataset:
    """A published data set: where it lies under the data folder, and what its pages say."""

    title: str
    torchvision: str | None  # the class that reads and downloads it
    packed: str | None  # the folder under --data that this class makes
    pictures: str | None  # a folder under --data that holds it as pictures
    channels: int
    classes: tuple[str, ...]
    licence: str


DIGITS = tuple("0123456789")
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DATASETS = {
    "mnist": Dataset(
        "MNIST", "MNIST", "MNIST/raw", None, 1, DIGITS, "none stated (Y. LeCun, C. Cortes, C. J. C. Burges)"
    ),
    "fashion-mnist": Dataset("Fashion-MNIST", "FashionMNIST", "FashionMNIST/raw", None, 1, CLOTHES, "MIT (Zalando SE)"),
    "cifar10": Dataset(
        "CIFAR-10", "CIFAR10", "cifar-10-batches-py", "cifar10", 3, CIFAR10, "none stated (A. Krizhevsky, 2009)"
    ),
    "ring": Dataset("Points on a ring", None, None, None, 1, (), "none needed: this program draws them"),
    "mixture": Dataset("Eight clouds of points", None, None, None, 1, (), "none needed: this program draws them"),
    "anime": Dataset(
        "Anime faces",
        None,
        None,
        "anime",
        3,
        (),
        "educational purposes only (Anime-Face-Dataset); the rights stay with the artists and publishers",
    ),
}
