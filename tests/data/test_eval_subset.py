"""Which pictures a subset means, and that the run's own split is made again as the run was trained."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facedep.data.dataset_spec import DatasetSpec
from facedep.data.eval_subset import ALL, EvalSubset, add_eval_subset_arguments, read_eval_subset
from facedep.data.scan import scan_dataset
from facedep.data.sources import LEAVE_OUT, Dataset, load_dataset
from facedep.data.splits import LEAK_FREE, PUBLISHED, SUPPLIED, split_dataset
from facedep.errors import DataError
from facedep.evaluation.subset_selection import list_available, select_pictures
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE
from facedep.runs.run_config import CONFIG_FILE

SUBSETS = [
    EvalSubset(),
    EvalSubset(PUBLISHED, "val", excludes_training_images=True),
    EvalSubset(LEAK_FREE, ALL, seed=7),
]


@pytest.mark.parametrize("subset", SUBSETS)
def test_command_line_gives_the_subset_back(subset):
    parser = argparse.ArgumentParser()
    add_eval_subset_arguments(parser)
    assert read_eval_subset(parser.parse_args(subset.to_argv())) == subset
    assert read_eval_subset(parser.parse_args([])) == EvalSubset()


def test_subsets_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="published split has no test part"):
        EvalSubset(PUBLISHED)
    with pytest.raises(ValueError, match="unknown subset"):
        EvalSubset(subset="some")
    with pytest.raises(ValueError, match="unknown protocol"):
        EvalSubset("half")


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twelve pictures of noise in each of three folders, one of which has an unknown name."""
    rng = np.random.default_rng(0)
    for name in ("Sad", "Happy", "Foo"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 255, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / name / f"{number:02}.png")
    return tmp_path / "faces"


def _train(folder: Path, own: Dataset, protocol: str, *, records_on: str = "card") -> tuple[Path, set[str]]:
    """Returns a run as a training on a data set leaves it, and the paths of its train part."""
    run_dir = folder / "run"
    run_dir.mkdir(parents=True)
    trained_on = {"content_hash": own.content_hash, "split": protocol, "seed": 3}
    card = {"recipe": "compact", "class_names": ["happy", "sad"], "positive_classes": ["sad"], "data": trained_on}
    if records_on == "card":
        card["data"] |= own.spec.to_record()
    else:
        config = {"recipe": "compact", "data_name": own.name, "num_epochs": 1, "batch_size": 8, "learning_rate": 0.1}
        (run_dir / CONFIG_FILE).write_text(json.dumps({**config, **own.spec.to_record()}), "utf-8")
    (run_dir / CARD_FILE).write_text(json.dumps(card), "utf-8")
    scan = scan_dataset(own)
    is_train = split_dataset(own.samples, scan, protocol, seed=3) == "train"
    (run_dir / FINGERPRINTS_FILE).write_text("\n".join(scan.fingerprints[is_train]))
    return run_dir, set(own.samples["path"][is_train])


@pytest.mark.parametrize("records_on", ["card", "config"])
@pytest.mark.parametrize(
    ("trained_with", "shown_with", "protocol", "subset"),
    [
        ({"folder_choices": {"Foo": "fear"}}, {}, LEAK_FREE, "test"),
        ({}, {"folder_choices": {"Foo": "happy"}}, LEAK_FREE, "test"),
        ({"folder_choices": {"Foo": "happy", "Sad": "fear"}}, {"folder_choices": {"Foo": "sad"}}, LEAK_FREE, "test"),
        ({"folder_choices": {"Foo": LEAVE_OUT}}, {"folder_choices": {"Foo": "sad"}}, LEAK_FREE, "test"),
        (
            {"folder_choices": {"Foo": "fear"}},
            {"folder_choices": {"Foo": "fear"}, "depressed_emotions": ("fear",)},
            PUBLISHED,
            "val",
        ),
    ],
)
def test_a_test_part_holds_no_picture_of_the_runs_own_train_part(
    trained_with, shown_with, protocol, subset, records_on, tmp_path, folder
):
    trained_with = {"folder_choices": {}, **trained_with}
    if protocol == LEAK_FREE and trained_with["folder_choices"].get("Sad"):
        trained_with["depressed_emotions"] = ("fear",)
    own, shown = (load_dataset(DatasetSpec(str(folder), **choices)) for choices in (trained_with, shown_with))
    run_dir, train_paths = _train(tmp_path / "models", own, protocol, records_on=records_on)
    selection = select_pictures(run_dir, shown, scan_dataset(shown), EvalSubset(protocol, subset))
    assert not train_paths & set(shown.samples["path"][selection.mask])
    assert selection.num_also_in_train == 0
    is_own = split_dataset(own.samples, scan_dataset(own), protocol, seed=3) == subset
    assert set(shown.samples["path"][selection.mask]) == set(own.samples["path"][is_own]) & set(shown.samples["path"])


def test_another_protocol_or_other_pictures_are_split_as_they_are_shown(tmp_path, folder):
    own = load_dataset(DatasetSpec(str(folder), {"Foo": "fear"}))
    shown = load_dataset(str(folder))
    run_dir, _ = _train(tmp_path / "models", own, LEAK_FREE)
    scan = scan_dataset(shown)
    mask = select_pictures(run_dir, shown, scan, EvalSubset(PUBLISHED, "val")).mask
    np.testing.assert_array_equal(mask, split_dataset(shown.samples, scan, PUBLISHED) == "val")
    (folder / "Foo" / "00.png").unlink()
    shown = load_dataset(str(folder))
    mask = select_pictures(run_dir, shown, scan_dataset(shown), EvalSubset()).mask
    np.testing.assert_array_equal(mask, split_dataset(shown.samples, scan, LEAK_FREE, seed=3) == "test")


def test_training_images_are_left_out_where_the_subset_says_so(tmp_path, folder):
    dataset = load_dataset(str(folder))
    run_dir, train_paths = _train(tmp_path / "models", dataset, LEAK_FREE)
    subset = EvalSubset(subset=ALL, excludes_training_images=True)
    selection = select_pictures(run_dir, dataset, scan_dataset(dataset), subset)
    assert selection.num_excluded == len(train_paths)
    assert selection.mask.sum() == 24 - len(train_paths)
    subset = EvalSubset(subset="train", excludes_training_images=True)
    with pytest.raises(DataError, match="was trained on all of these pictures"):
        select_pictures(run_dir, dataset, scan_dataset(dataset), subset)


def test_available_subsets_are_found_with_one_split_a_protocol(tmp_path, folder, monkeypatch):
    from facedep.evaluation import subset_selection

    dataset = load_dataset(str(folder))
    run_dir, _ = _train(tmp_path / "models", dataset, LEAK_FREE)
    calls = []

    def count(*arguments, **options):
        calls.append(arguments[2])
        return split_dataset(*arguments, **options)

    monkeypatch.setattr(subset_selection, "split_dataset", count)
    wanted = [EvalSubset(), EvalSubset(subset="val"), EvalSubset(subset=ALL), EvalSubset(PUBLISHED, "val")]
    supplied = [EvalSubset(SUPPLIED), EvalSubset(SUPPLIED, "val")]
    assert list_available(run_dir, dataset, scan_dataset(dataset), [*wanted, *supplied]) == wanted
    assert calls == [LEAK_FREE, PUBLISHED, SUPPLIED]
