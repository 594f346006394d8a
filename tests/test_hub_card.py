"""What a person would lose: their own words in a run's card, or a card that says what was trained and measured."""

import json
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import yaml
from conftest import ROOT
from hub_double import push

from gan_demo import card, hub, publish
from gan_demo.run import Run
from gan_demo.wire import HubError

pytestmark = pytest.mark.usefixtures("own_cache")


def test_what_a_person_wrote_into_the_card_survives_every_push(run, double):
    push(run, double)
    name = "me/digits"
    text = double.repos[name].commits[-1].files["README.md"].decode()
    edited = text.replace("license: unknown", "license: cc0-1.0  # I asked\nthumbnail: https://example.org/x.png")
    edited = edited.replace("tags:\n- gan\n", "tags:\n- mine\n").replace(
        card.START, f"My own words first.\n\n{card.START}"
    )
    edited = edited.replace("tags:\n", "# a note\ntags:\n").replace("---\nMy", "# the last\n---\nMy")
    edited = edited.replace("# dcgan-mnist\n", "# I scribbled into your part\n") + "\n## Thanks\n\nTo my *cat*.\n"
    double.add(name, {"README.md": edited.encode()})
    metrics = run.read_json("metrics.json")
    before, metrics["snapshots"][-1]["frechet"] = str(metrics["snapshots"][-1]["frechet"]), 0.25
    run.write("metrics.json", metrics)
    push(run, double)
    after = double.repos[name].commits[-1].files["README.md"].decode()
    assert "license: cc0-1.0  # I asked\nthumbnail: https://example.org/x.png" in after and "- mine\n" in after
    assert "# a note\ntags:" in after and "# the last\n" in after.split("\n---\n")[0] + "\n"
    assert f"---\nMy own words first.\n\n{card.START}\n# dcgan-mnist\n" in after and "scribbled" not in after
    assert after.endswith(f"{card.END}\n\n## Thanks\n\nTo my *cat*.\n")
    assert (
        "value: 0.25\n" in after
        and "| last | 18,750 | 0.25 |" in after
        and before not in after.split("Recipe")[0].split("| best")[0]
    )
    assert after.count(card.START) == after.count(card.END) == 1
    assert (run.path / "README.md").read_text() == after
    with double.counting() as seen:
        assert not push(run, double).changed
    assert seen


def test_words_in_the_folders_card_that_the_repositorys_has_not_are_kept_and_told(run, double, monkeypatch, capfd):
    for name in ("make_repo", "push"):
        monkeypatch.setattr(hub, name, partial(getattr(hub, name), endpoint=double.url))
    publisher, metrics = publish.Publisher("me/digits"), run.read_metrics()
    publisher.publish(run, metrics)
    publisher.publish(run, metrics)
    assert not (run.path / "state/README.md").exists() and not capfd.readouterr().err
    with open(run.path / "README.md", "a") as written:
        written.write("To my cat.\n")
    double.add("me/digits", {"notes.txt": b"a commit"})
    publisher.publish(run, metrics)
    assert "To my cat." in (run.path / "state/README.md").read_text()
    assert f"'To my cat.': the folder's is kept as {run.path / 'state/README.md'}" in capfd.readouterr().err
    sent = double.repos["me/digits"].commits[-1].files
    assert not [name for name in sent if name.startswith("state/")] and b"To my cat." not in sent["README.md"]
    (run.path / "state/README.md").unlink()
    card.write(run, metrics)
    text = (run.path / "README.md").read_text().replace("license: unknown\n", "license: cc-by-4.0\nlanguage: en\n")
    (run.path / "README.md").write_text(text)
    publisher.publish(run, metrics)
    assert (run.path / "state/README.md").read_text() == text
    assert "without 'license: cc-by-4.0': the folder's is kept" in capfd.readouterr().err


def test_a_card_that_cannot_be_fetched_is_not_taken_from_the_cache(run, double):
    push(run, double)
    push(run, double)  # which has the card in the cache
    double.add("me/digits", {"README.md": b"Written since."})
    double.answer(503, "/resolve/")
    with pytest.raises(HubError, match="has trouble") as caught:
        push(run, double)
    assert caught.value.passing
    double.recover()
    push(run, double)
    assert b"Written since." in double.repos["me/digits"].commits[-1].files["README.md"]


def test_what_a_person_writes_while_a_push_is_on_its_way_is_not_lost(run, double):
    push(run, double)

    def write_card(theirs: str | None) -> str:
        double.add("me/digits", {"README.md": b"Written this very second."})
        return card.text(run, None, "me/digits", theirs)

    with pytest.raises(HubError, match="somebody else changed it at the same moment") as caught:
        hub.push(run, "me/digits", card=write_card, endpoint=double.url)
    assert caught.value.passing
    push(run, double)
    assert b"Written this very second." in double.repos["me/digits"].commits[-1].files["README.md"]


@pytest.mark.parametrize(
    "theirs",
    [
        "Only prose.\n",
        "---\nlicense: [broken\n---",
        "---\nlicense: [broken\n---\nProse.\n",
        "---\r\nlicense: mit\r\n---\r\nProse.\r\n",
        "\n\n",
    ],
)
def test_a_card_that_a_person_began_is_kept_and_ours_follows(theirs, run):
    merged = card.text(run, None, "me/digits", theirs)
    plain = theirs.replace("\r\n", "\n").strip()
    assert all(line in merged for line in plain.splitlines()) and merged.count(card.START) == 1
    assert merged.index(card.START) >= merged.find("Prose") and card.text(run, None, "me/digits", merged) == merged


def test_the_cards_figures_are_what_was_measured_and_the_hub_can_read_them(run):
    from huggingface_hub import ModelCard

    metrics = run.read_json("metrics.json")
    data = ModelCard(card.text(run, metrics, "me/digits")).data
    found = {result.metric_type: result.metric_value for result in data.eval_results}
    last = metrics["snapshots"][-1]
    assert found == {"frechet": last["frechet"], "diversity": last["diversity"]}
    assert data.model_name == "digits" and data.datasets == ["ylecun/mnist"] and data.license == "unknown"
    assert all("2,000 images, step 18,750" in result.metric_name for result in data.eval_results)
    text = card.text(run, metrics, "me/digits")
    assert 'player = open_run("me/digits")' in text and metrics["judge"].split(",")[0] in text


def test_a_card_keeps_nothing_of_the_run_that_was_there_before(run):
    other = Run(ROOT / "checkpoints" / "mlp-fashion")
    before = card.text(other, other.read_metrics(), "me/digits").replace(
        "model-index:", "thumbnail: x.png\nmodel-index:"
    )
    for metrics in (run.read_metrics(), None):
        merged, alone = (card.text(run, metrics, "me/digits", theirs) for theirs in (before, None))
        fresh, found = (yaml.safe_load(text.split("---\n")[1]) for text in (alone, merged))
        assert found == fresh | {"thumbnail": "x.png"}
        assert card.text(run, metrics, "me/digits", merged) == merged
    assert "model-index" not in found and "Fashion" not in merged


def test_a_card_has_the_figures_of_this_repository_alone(run):
    first = card.text(run, run.read_metrics(), "me/first")
    second = yaml.safe_load(card.text(run, run.read_metrics(), "me/second", first).split("---\n")[1])
    assert [model["name"] for model in second["model-index"]] == ["second"]


def test_numbers_of_passes_are_written_out(run):
    folder, last = run.path, run.snapshots[-1]
    index = json.loads((folder / "snapshots/index.json").read_text())
    index["snapshots"][-1] |= {"epoch": 5000.25, "images": 60_000 * 5000}
    (folder / "snapshots/index.json").write_text(json.dumps(index))
    text = card.text(Run(folder), None)
    assert last.epoch < 100 and "(5,000 of the recipe's 100 epochs)" in text and "each seen 5,000 times." in text


def test_a_card_says_what_a_person_set_otherwise_and_how_a_stopped_run_is_judged(run):
    assert "Otherwise than in the table" not in card.text(run, None)
    config = run.config
    own = {"batch_size": 256, "ema": 0.0, "learning_rates": (0.01, 0.02)}
    run.write_config(replace(config, length=10**6, dataset="mine", hyperparameters=config.hyperparameters | own))
    text = card.text(Run(run.path), None)
    assert "this run has: batch size 256; ema 0; learning rates 0.01 and 0.02." in text
    assert "`python train.py dcgan-mnist --data PICTURES --out FOLDER --resume --steps 18750` does it" in text


def test_a_card_says_where_the_run_differs_from_what_its_recipe_is_today(run):
    older = {"betas": (0.0, 0.9), "generator_dropout": 0.3, "loss": "no_more", "augment": ("flip",)}
    run.write_config(replace(run.config, hyperparameters=run.config.hyperparameters | older))
    text = card.text(Run(run.path), None)
    assert "this run has: betas 0 and 0.9; loss no\\_more; generator dropout 0.3; augment flip." in text


def test_a_card_is_written_where_huggingface_hub_is_missing(run, monkeypatch):
    for name in ("huggingface_hub", "yaml"):
        monkeypatch.setitem(sys.modules, name, None)
    text = card.text(run, run.read_json("metrics.json"))
    assert text.startswith('---\nlicense: "unknown"\n') and "model-index" not in text and "| last | 18,750 |" in text


def test_the_cards_pictures_show_the_training(run):
    from PIL import Image

    card.write(run, run.read_json("metrics.json"))
    with Image.open(run.path / "samples" / "training.webp") as film:
        assert film.n_frames == len(run.steps) and film.width >= 300
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("L").resize((112, 112)), float)
    wanted = np.asarray(Image.open(run.path / f"samples/step-{run.steps[-1]:08d}.png").convert("L"), float)
    assert np.abs(last - wanted).mean() < 8
    with Image.open(run.path / "curves.png") as curves:
        colours = {colour for _, colour in curves.convert("RGB").getcolors(1 << 20)}
    assert {(0x25, 0x63, 0xEB), (0xD9, 0x48, 0x0F), (0x9C, 0xA3, 0xAF)} <= colours


NASTY = "<script>alert(1)</script>](javascript:x) | **b** `c` <!-- gan-demo\n---\nlicense: evil"


def test_names_in_the_card_show_and_do_nothing(run):
    run.config = replace(run.config, name=NASTY, recipe=NASTY, device=NASTY, classes=[NASTY, "7"])
    text = card.text(run, {**run.read_json("metrics.json"), "judge": NASTY})
    body = text.split(card.START)[1]
    assert "<script" not in body and "](javascript" not in body and "**b**" not in body and "`c`" not in body
    assert "&lt;script&gt;alert\\(1\\)" in body and "\nlicense: evil" not in text and text.count("<!-- gan-demo") == 2
    from huggingface_hub import ModelCard

    assert ModelCard(text).data.license == "unknown" and ModelCard(text).data.tags[1].startswith("-script-alert-1-")
