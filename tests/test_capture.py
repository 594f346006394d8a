"""What a person with a GPU would lose: the same training, only faster."""

import pytest
import torch
from conftest import small

from gan_demo import recipes
from gan_demo.gan import GAN
from gan_demo.machine import choose_device
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
