"""What a person would lose: the picture that belongs to their seed."""

import numpy as np
import pytest

from gan_demo import latents
from gan_demo.errors import GanDemoError


def test_a_seed_is_the_same_latent_for_ever():
    """Written down once: a change of these numbers changes every picture that anyone has linked to."""
    np.testing.assert_allclose(latents.latent(0, 4), [2.2844415, -1.5494508, 1.9245853, -0.66375184], atol=1e-6)
    np.testing.assert_array_equal(latents.latents([5, 7], 100)[1], latents.latent(7, 100))


def test_latents_are_standard_normal_and_differ_between_seeds():
    z = latents.latents(range(2000), 100)
    assert z.dtype == np.float32 and abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01
    assert abs(np.corrcoef(z[0], z[1])[0, 1]) < 0.4 and len({row.tobytes() for row in z}) == 2000


@pytest.mark.parametrize("seed", [0, 1, latents.MAX_SEED, np.int64(3), 4.0])
def test_whole_numbers_are_seeds(seed):
    assert latents.check_seed(seed) == int(seed)


@pytest.mark.parametrize("seed", [-1, 2**63, 10**40, 1.5, float("nan"), float("inf"), "7", None, True, [1]])
def test_anything_else_is_refused_by_name(seed):
    with pytest.raises(GanDemoError, match=r"seed .* will not do: give a whole number from 0"):
        latents.check_seed(seed)


def test_the_seeds_beside_a_seed_go_round_and_a_seed_has_a_class_of_its_own():
    assert latents.seeds_from(latents.MAX_SEED - 1, 4) == [latents.MAX_SEED - 1, latents.MAX_SEED, 0, 1]
    assert [latents.own_class(seed, 10) for seed in (7, 13, latents.MAX_SEED)] == [7, 3, 1]
    assert latents.own_class(7, 0) == 0  # no classes
    for call in (latents.seeds_from, latents.own_class):
        with pytest.raises(GanDemoError, match="seed '-1' will not do"):
            call(-1, 4)


def test_slerp_starts_and_ends_at_its_ends_and_keeps_the_length():
    a, b = latents.latents([1, 2], 100)
    walk = latents.slerp(a, b, np.linspace(0, 1, 9))
    np.testing.assert_allclose(walk[0], a, atol=1e-6)
    np.testing.assert_allclose(walk[-1], b, atol=1e-6)
    lengths = np.linalg.norm(walk, axis=1)
    assert lengths.min() > 0.95 * min(np.linalg.norm(a), np.linalg.norm(b))
    assert np.linalg.norm(latents.lerp(a, b, np.array([0.5]))) < 0.85 * lengths.min()


def test_slerp_between_a_latent_and_itself_or_its_opposite_is_finite():
    a = latents.latent(1, 16)
    for b in (a, -a, np.zeros(16, np.float32)):
        assert np.isfinite(latents.slerp(a, b, np.linspace(0, 1, 5))).all()


def test_truncation_pulls_to_the_mean():
    z = latents.latents([1, 2], 16)
    np.testing.assert_array_equal(latents.truncate(z, 1), z)
    assert not latents.truncate(z, 0).any()
    for bad in (-0.1, 1.1, float("nan"), "half", None):
        with pytest.raises(GanDemoError, match="truncation"):
            latents.truncate(z, bad)


def test_guidance_moves_classes_from_the_mean_of_all():
    weights = latents.class_weights([1, 0], 4)
    np.testing.assert_array_equal(latents.guide(weights, 1), weights)
    np.testing.assert_array_equal(latents.guide(weights, 0), np.full((2, 4), 0.25, np.float32))
    np.testing.assert_array_equal(latents.guide(weights, 2)[0], [-0.25, 1.75, -0.25, -0.25])
    assert latents.guide(weights, 2).dtype == np.float32
    for bad in (-0.1, 3.1, float("nan"), "half", None):
        with pytest.raises(GanDemoError, match="guidance"):
            latents.guide(weights, bad)


def test_classes_are_one_hot_and_checked():
    np.testing.assert_array_equal(latents.class_weights([1, 0], 3), [[0, 1, 0], [1, 0, 0]])
    for bad in (-1, 3, 1.0, "1", True, None):
        with pytest.raises(GanDemoError, match=r"class .* will not do: this run has the classes 0 to 2"):
            latents.class_weights([bad], 3)
