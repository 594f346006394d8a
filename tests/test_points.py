"""What a speaker would lose: the toy GANs, whose points come to where the real ones are."""

import json

import numpy as np
from conftest import fit

from gan_demo import data, open_run, points, recipes
from gan_demo.ui.library import Library
from gan_demo.ui.pictures import FILES
from gan_demo.ui.query import Query


def test_the_toy_s_points_come_to_the_ring(tmp_path):
    recipe = recipes.get("toy-ring")
    fit(recipe, data.load(recipe, tmp_path)[0], tmp_path / "run", length=600, snapshots=2)
    player = open_run(tmp_path / "run")
    apart = [np.abs(np.hypot(*points.read(player.generate(range(200), step=step)).T) - 0.8) for step in (0, 600)]
    assert apart[0].mean() > 0.5 and apart[1].mean() < 0.15
    library = Library([str(tmp_path / "run")])
    plane = json.loads(FILES["field.json"](library, "run", Query({"seed": "5"})))
    assert len(plane["field"]) == plane["side"] ** 2 and 0 <= min(plane["field"]) < max(plane["field"]) <= 1
    assert np.abs(plane["generated"] - points.read(player.generate(range(5, 261)))).max() < 1e-3


def test_a_picture_of_a_dot_holds_its_point():
    for shape in points.SHAPES.values():
        where = shape(500)
        assert np.abs(points.read(points.draw(where, 32)) - where).max() < 0.02
