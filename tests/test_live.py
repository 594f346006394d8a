"""What a speaker would lose: a training that starts on a button, obeys while it runs, and ends without a loss."""

from conftest import fit, small

from gan_demo import control, recipes, training
from gan_demo.control import Control
from gan_demo.run import Run

PERCEPTRON = recipes.get("mlp-mnist")


def test_what_is_turned_while_it_trains_is_done_and_stands_in_the_run(mnist, tmp_path, monkeypatch):
    """From step 6 on three discriminator steps and other rates: in the optimisers, the data taken, history and config."""
    step = training.Trainer.train_step
    turned = Control((1e-3, 5e-5), 3)

    def turning(self):
        step(self)
        if self.step == 5:
            turned.write(tmp_path / "run")
        if self.step == 9:
            self.stopped_by = "SIGTERM"

    Control(PERCEPTRON.learning_rates, 1).write(tmp_path / "run")
    monkeypatch.setattr(training.Trainer, "train_step", turning)
    trainer = fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3)
    assert [adam.param_groups[0]["lr"] for adam in (trainer.gan.generator_adam, trainer.gan.discriminator_adam)] == [
        *turned.learning_rates
    ]
    run = Run(tmp_path / "run")
    rows = run.read_history()
    assert [row["k"] for row in rows] == [1] * 5 + [3] * 4
    assert {row["generator_rate"] for row in rows[5:]} == {1e-3} and rows[4]["generator_rate"] == 2e-4
    assert run.snapshots[-1].images == (5 * 1 + 4 * 3) * 16
    assert run.config.as_recipe().discriminator_steps == 3
    monkeypatch.setattr(training.Trainer, "train_step", step)
    Control(turned.learning_rates, 2).write(tmp_path / "run")
    fit(run.config.as_recipe(), mnist, tmp_path / "run", length=20, snapshots=3, resume=True)
    run = Run(tmp_path / "run")
    assert [row["k"] for row in run.read_history()] == [1] * 5 + [3] * 4 + [2] * 11
    assert run.snapshots[-1].images == (5 * 1 + 4 * 3 + 11 * 2) * 16


def test_a_damaged_control_changes_nothing(tmp_path):
    good = Control((1e-3, 1e-3), 2)
    good.write(tmp_path)
    follower = control.Follower(tmp_path)
    for text in ("{", "[]", '{"learning_rates": [1e9, 0], "discriminator_steps": 1}', '{"learning_rates": [0, 0]}'):
        (tmp_path / control.NAME).write_text(text)
        assert not follower.news()
        assert follower.now == good


def test_a_run_that_ends_where_it_was_stopped_keeps_its_last_snapshot(mnist, tmp_path, monkeypatch):
    """As the page's command to push a stopped run does: resume, with as many steps as it has."""
    stop = training.Trainer.train_step

    def stopping(self):
        stop(self)
        self.stopped_by = "SIGINT" if self.step == 7 else ""

    monkeypatch.setattr(training.Trainer, "train_step", stopping)
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=20, snapshots=3)
    fit(small(PERCEPTRON), mnist, tmp_path / "run", length=7, snapshots=3, resume=True)
    run = Run(tmp_path / "run")
    assert (run.steps[-1], run.config.steps, run.config.length) == (7, 7, 7)
