"""A choice of data is one value, whichever way it comes: from a page, the command line, a run's settings or a card."""

import argparse
import json

import pytest

from facedep import emotions
from facedep.data.dataset_spec import DatasetSpec, add_dataset_arguments, read_dataset_spec
from facedep.data.sources import LEAVE_OUT, load_dataset, relabel_dataset
from facedep.errors import DataError
from facedep.networks.card_format import find_record_problem
from facedep.runs.run_config import RunConfig

SPECS = (
    DatasetSpec("sample"),
    DatasetSpec("/a folder/of mine", {"Müde": "sad", "x": LEAVE_OUT}),
    DatasetSpec("faces.zip", depressed_emotions=("sad", "fear")),
)


def _read(*argv: str) -> DatasetSpec:
    parser = argparse.ArgumentParser()
    add_dataset_arguments(parser)
    return read_dataset_spec(parser.parse_args(argv))


def test_equal_choices_are_equal_values_in_whichever_order_they_were_made():
    one = DatasetSpec("x", {"a": "sad", "b": "happy"}, ("sad", "fear"))
    other = DatasetSpec("x", (("b", "happy"), ("a", "sad")), ("fear", "sad"))
    assert one == other
    assert len({one, other}) == 1
    assert one.depressed_emotions == ("fear", "sad")


@pytest.mark.parametrize("spec", SPECS)
def test_command_line_gives_the_choice_back(spec):
    assert _read(*spec.to_argv()) == spec


def test_command_line_without_options_means_the_sample_faces_in_the_articles_grouping():
    assert _read() == DatasetSpec("sample", (), emotions.DEPRESSED_EMOTIONS)
    assert DatasetSpec("sample").to_argv() == ["--data", "sample"]


@pytest.mark.parametrize("grouping", ["sad,bored", ",".join(emotions.EMOTIONS), ""])
def test_grouping_without_a_second_group_or_with_unknown_emotions_is_refused(grouping):
    with pytest.raises(DataError, match="give some of angry"):
        _read("--depressed", grouping)


@pytest.mark.parametrize("choices", ["{", "[]", '{"a": 1}'])
def test_folder_choices_that_are_no_table_of_names_are_refused(choices, capsys):
    with pytest.raises(SystemExit):
        _read("--folder-choices", choices)
    assert "--folder-choices" in capsys.readouterr().err


def test_unknown_emotions_are_a_mistake():
    with pytest.raises(ValueError, match="bored"):
        DatasetSpec("x", depressed_emotions=("bored",))


@pytest.mark.parametrize("spec", SPECS)
def test_card_and_settings_give_the_choice_back(spec):
    record = json.loads(json.dumps(spec.to_record()))
    assert find_record_problem(record) is None
    assert DatasetSpec.from_records(spec.source, {"seed": 3, **record}) == spec
    config = RunConfig("quick", "x", 1, 1, 0.1, folder_choices=dict(spec.folder_choices),
                       depressed_emotions=spec.depressed_emotions)  # fmt: skip
    assert config.build_dataset_spec(spec.source) == spec


def test_first_record_that_says_something_decides_and_the_defaults_where_none_does():
    card, config = {"folder_choices": {"Foo": "sad"}}, {"folder_choices": {}, "depressed_emotions": ("happy",)}
    assert DatasetSpec.from_records("x", card, config) == DatasetSpec("x", {"Foo": "sad"}, ("happy",))
    assert DatasetSpec.from_records("x", {}) == DatasetSpec("x")


@pytest.mark.parametrize(
    "record",
    [{"folder_choices": [1]}, {"folder_choices": {"a": 1}}, {"depressed_emotions": "sad"},
     {"depressed_emotions": ["bored"]}],
)  # fmt: skip
def test_damaged_records_are_named(record):
    assert find_record_problem(record)


def test_same_files_can_be_labelled_in_another_way(write_pictures):
    dataset = load_dataset(str(write_pictures(["Foo/1.png", "Sad/1.png"])))
    assert relabel_dataset(dataset, DatasetSpec("elsewhere")) is dataset
    spec = DatasetSpec("elsewhere", {"Foo": "happy"}, ("happy",))
    relabelled = relabel_dataset(dataset, spec)
    assert relabelled.samples["label"].tolist() == ["depressed", "non_depressed"]
    assert relabelled.source == dataset.source
    assert relabelled.content_hash == dataset.content_hash
    assert (dataset.unknown_folders, relabelled.unknown_folders) == ({"Foo": 1}, {})
