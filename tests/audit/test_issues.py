"""The issues of a data set: each is planted and found, and nothing else is."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facedep.audit.cleaning import choose_clean
from facedep.audit.issues import ISSUE_NAMES, Issue, IssueLimits, build_flags_table, find_issues
from facedep.audit.quality import MEASURES, measure_quality
from facedep.audit.shared_pictures import find_shared_pictures
from facedep.cli.main import main
from facedep.data import duplicates
from facedep.data.dataset_spec import DatasetSpec
from facedep.data.scan import Scan, scan_dataset
from facedep.data.sources import Dataset, load_dataset

MEASURED_ISSUES = tuple(name for name in ISSUE_NAMES if name != "no_face")  # there without a look for faces


def draw_texture(
    number: int, lowest: int = 0, highest: int = 255, *, blur_px: float = 0.8, size: tuple[int, int] = (48, 48)
) -> np.ndarray:
    """Returns a soft random pattern, all levels from lowest to highest equally frequent. The size is width, height."""
    noise = np.random.default_rng(number).normal(size=size[::-1]).astype(np.float32)
    ranks = np.argsort(np.argsort(cv2.GaussianBlur(noise, (0, 0), blur_px).ravel()))
    levels = lowest + ranks * (highest - lowest + 1) // len(ranks)
    return levels.reshape(noise.shape).astype(np.uint8)


def draw_placeholder() -> np.ndarray:
    """Returns a white picture with eight black lines, as of text."""
    picture = np.full((48, 48), 255, np.uint8)
    picture[8:40:4, 8:40] = 0
    return picture


def encode_png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def load_pictures(tmp_path) -> Callable[[dict[str, np.ndarray | bytes]], Dataset]:
    """A function that writes drawn pictures (or the bytes given) as PNG files into a new folder and loads it."""

    def load(pictures: dict[str, np.ndarray | bytes]) -> Dataset:
        for path, content in pictures.items():
            target = tmp_path / "pictures" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else encode_png(content))
        return load_dataset(str(tmp_path / "pictures"))

    return load


def find_all(dataset: Dataset, limits: IssueLimits | None = None) -> tuple[pd.DataFrame, list[Issue]]:
    scan = scan_dataset(dataset)
    quality = measure_quality(dataset.samples, scan)
    return quality, find_issues(dataset.samples, scan, quality, limits)


def list_paths(dataset: Dataset, rows: np.ndarray) -> set[str]:
    return set(dataset.samples["path"][rows])


PLANTED = {
    **{f"train/Happy/plain{number}.png": draw_texture(number) for number in range(30)},
    **{f"train/Neutral/plain{number}.png": draw_texture(number) for number in range(30, 50)},
    **{f"test/Sad/plain{number}.png": draw_texture(number) for number in range(50, 70)},
    "train/Happy/truncated.png": encode_png(draw_texture(100))[:900],
    "train/Happy/gray.png": np.full((48, 48), 128, np.uint8),
    "test/Sad/placeholder.png": draw_placeholder(),
    "train/Happy/dark.png": draw_texture(101, 0, 80),
    "train/Happy/bright.png": draw_texture(102, 165, 255),
    "train/Happy/weak.png": draw_texture(103, 100, 150),
    "train/Happy/blurred.png": draw_texture(104, blur_px=5),
    "train/Happy/large.png": draw_texture(105, size=(64, 64)),
    "train/Happy/wide.png": draw_texture(106, size=(96, 48)),
    "train/Happy/small.png": draw_texture(107, size=(40, 40)),
    "train/Happy/same.png": draw_texture(108),
    "train/Happy/same_again.png": draw_texture(108),
    "train/Happy/same_too.png": draw_texture(108),
    "train/Happy/near.png": draw_texture(109),
    "train/Happy/near_paler.png": draw_texture(109, 20, 235),
    "train/Sad/leaked.png": draw_texture(110),
    "test/Sad/leaked_paler.png": draw_texture(110, 20, 235),
    "train/Fear/doubtful.png": draw_texture(111),
    "train/Happy/doubtful.png": draw_texture(111),
    "train/Fear/wrong_mirrored.png": draw_texture(112)[:, ::-1],
    "train/Neutral/wrong.png": draw_texture(112),
}
LEAKED = {"train/Sad/leaked.png", "test/Sad/leaked_paler.png"}
DOUBTFUL = {"train/Fear/doubtful.png", "train/Happy/doubtful.png"}
WRONG = {"train/Fear/wrong_mirrored.png", "train/Neutral/wrong.png"}
SAME = {f"train/Happy/{name}.png" for name in ("same", "same_again", "same_too")}
NEAR = {"train/Happy/near.png", "train/Happy/near_paler.png"}
EXPECTED = {
    "damaged": {"train/Happy/truncated.png"},
    "blank": {"train/Happy/gray.png", "test/Sad/placeholder.png"},
    "dark": {"train/Happy/dark.png"},
    "bright": {"train/Happy/bright.png"},
    "low_contrast": {"train/Happy/weak.png", "train/Happy/gray.png"},
    "blurred": {"train/Happy/blurred.png"},
    "odd_size": {f"train/Happy/{name}.png" for name in ("large", "wide", "small")},
    "exact_duplicate": SAME | DOUBTFUL,
    "near_duplicate": NEAR | LEAKED | WRONG,
    "leak": LEAKED,
    "two_emotions": DOUBTFUL | WRONG,
    "two_groups": WRONG,
}
NUM_SETS = {"exact_duplicate": 2, "near_duplicate": 3, "leak": 1, "two_emotions": 2, "two_groups": 1}
REMOVED = {
    "exact_duplicate": {"train/Happy/same_again.png", "train/Happy/same_too.png", "train/Happy/doubtful.png"},
    "near_duplicate": {"train/Happy/near_paler.png", "train/Sad/leaked.png", "train/Neutral/wrong.png"},
    "leak": {"train/Sad/leaked.png"},
}


def test_each_planted_issue_is_found_and_no_other(load_pictures):
    dataset = load_pictures(PLANTED)
    _, issues = find_all(dataset)
    assert [issue.name for issue in issues] == list(MEASURED_ISSUES)
    for issue in issues:
        assert list_paths(dataset, issue.mask) == EXPECTED[issue.name], issue.name
        assert list_paths(dataset, issue.removed) == REMOVED.get(issue.name, EXPECTED[issue.name]), issue.name
        assert (issue.num_sets, issue.num_images) == (NUM_SETS.get(issue.name, 0), len(EXPECTED[issue.name]))
        assert list_paths(dataset, ~choose_clean(dataset.samples, issues, [issue.name])) == list_paths(
            dataset, issue.removed
        )
        assert issue.title
        assert issue.advice.endswith(".")


def test_data_set_without_issues_has_none(load_pictures):
    _, issues = find_all(load_pictures({f"Happy/{number}.png": draw_texture(number) for number in range(5)}))
    assert [issue.num_images for issue in issues] == [0] * len(MEASURED_ISSUES)
    assert [issue.num_sets for issue in issues] == [0] * len(MEASURED_ISSUES)


def test_moved_limits_flag_others_from_the_same_table(load_pictures):
    dataset = load_pictures(PLANTED)
    scan = scan_dataset(dataset)
    quality = measure_quality(dataset.samples, scan)
    kept = quality.copy()
    strict = IssueLimits(min_contrast=0.96, max_elongation=2, min_side_px=40)
    by_name = {issue.name: issue for issue in find_issues(dataset.samples, scan, quality, strict)}
    assert by_name["low_contrast"].num_images == len(PLANTED) - 2  # the placeholder and the damaged file
    assert by_name["odd_size"].num_images == 3  # still unlike all others
    assert by_name["blank"].num_images == 2
    pd.testing.assert_frame_equal(quality, kept)


def test_measures_are_those_computed_by_hand(load_pictures):
    half = np.zeros((48, 48), np.uint8)
    half[:, 24:] = 255
    board = (np.indices((48, 48)).sum(axis=0) % 2 * 255).astype(np.uint8)
    ramp = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    dataset = load_pictures(
        {
            "a/Happy/board.png": board,
            "b/Happy/gray.png": np.full((48, 96), 51, np.uint8),
            "c/Happy/half.png": half,
            "d/Happy/ramp.png": ramp,
            "e/Happy/texture.png": draw_texture(0),
            "f/Happy/torn.png": encode_png(half)[:60],
        }
    )
    quality = measure_quality(dataset.samples, scan_dataset(dataset))
    nan = float("nan")
    # 46 x 46 inner pixels have a Laplacian, 2 x 47 x 48 pairs of neighbours a step. Board: each 4 and 1 times 255.
    # Half: 2 x 46 pixels and 48 steps, each 255. Texture: 9 pixels of each level; 5 % and 95 % of all are 115.2 and
    # 2,188.8, so the 13th and the 244th level. Ramp: 5 % lie in 2.4 of the 48 columns, 95 % in 45.6.
    expected = {
        "brightness": [0.5, 0.2, 0.5, 117.5 / 255, 0.5, nan],
        "shadows": [0, 0.2, 0, 10 / 255, 12 / 255, nan],
        "highlights": [1, 0.2, 1, 225 / 255, 243 / 255, nan],
        "contrast": [1, 0, 1, 215 / 255, 231 / 255, nan],
        "sharpness": [16 * 46**2 / (8 * 2 * 47 * 48), nan, 2 * 46 / (8 * 48), 0, None, nan],
        "entropy": [1, 0, 1, np.log2(48), 8, nan],
        "width": [48, 96, 48, 48, 48, nan],
        "height": [48, 48, 48, 48, 48, nan],
        "aspect": [1, 2, 1, 1, 1, nan],
        "picture": [0, 1, 2, 3, 4, -1],
    }
    assert list(quality) == [*MEASURES, "picture", "duplicate_group"]
    for name, values in expected.items():
        for row, value in enumerate(values):
            if value is not None:
                assert quality[name][row] == pytest.approx(value, abs=1e-9, nan_ok=True), (name, row)
    assert (quality["duplicate_group"] >= 0).tolist() == [True] * 5 + [False]


def test_sharpness_falls_with_blur_and_not_with_contrast_or_brightness(load_pictures):
    pictures = {f"Happy/blur{blur}.png": draw_texture(1, blur_px=blur) for blur in (0.5, 1, 2, 4)}
    pictures |= {"Happy/weak.png": draw_texture(1, 60, 187, blur_px=1)}
    dataset = load_pictures(pictures)
    sharpness = measure_quality(dataset.samples, scan_dataset(dataset))["sharpness"].set_axis(dataset.samples["path"])
    blurred = [sharpness[f"Happy/blur{blur}.png"] for blur in (0.5, 1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True)
    assert sharpness["Happy/weak.png"] == pytest.approx(sharpness["Happy/blur1.png"], rel=0.02)


@pytest.mark.parametrize(
    ("names", "gone"),
    [
        ([], set()),
        # The copy in train goes for the test's sake, so the near-duplicate rule has nothing left to take.
        (["leak", "near_duplicate"], {"train/Happy/near_paler.png", "train/Sad/leaked.png", "train/Neutral/wrong.png"}),
        (["two_emotions", "exact_duplicate"], DOUBTFUL | WRONG | REMOVED["exact_duplicate"]),
        (MEASURED_ISSUES, set.union(*(REMOVED.get(name, EXPECTED[name]) for name in MEASURED_ISSUES))),
    ],
)
def test_cleaning_several_issues_keeps_one_picture_of_each_photograph(names, gone, load_pictures):
    dataset = load_pictures(PLANTED)
    _, issues = find_all(dataset)
    assert list_paths(dataset, ~choose_clean(dataset.samples, issues, names)) == gone


def test_of_a_leak_the_later_part_stays_whichever_rules_are_chosen_and_whatever_comes_first(load_pictures):
    """Here train comes before test in path order, so that "the first stays" alone would keep the train copy."""
    face, paler = draw_texture(1), draw_texture(1, 20, 235)
    dataset = load_pictures({"a/train/Happy/1.png": face, "b/val/Happy/2.png": paler, "c/test/Happy/3.png": face})
    quality, issues = find_all(dataset)
    for names in (["leak"], ["leak", "exact_duplicate"], ["leak", "near_duplicate", "exact_duplicate"]):
        assert list_paths(dataset, choose_clean(dataset.samples, issues, names)) == {"c/test/Happy/3.png"}
    assert list_paths(dataset, choose_clean(dataset.samples, issues, ["exact_duplicate"])) == {
        "a/train/Happy/1.png",
        "b/val/Happy/2.png",
    }
    assert list_paths(dataset, choose_clean(dataset.samples, issues, ["near_duplicate"])) == {
        "a/train/Happy/1.png",
        "c/test/Happy/3.png",
    }
    assert [pair.sentence for pair in find_shared_pictures(dataset.samples, quality)] == [
        "1 of the 1 test pictures is also in train, pixel for pixel.",
        "1 of the 1 val pictures is also in train: nearly the same.",
        "1 of the 1 test pictures is also in val: nearly the same.",
    ]


def test_unknown_issue_is_a_mistake(load_pictures):
    dataset = load_pictures({"Happy/1.png": draw_texture(1)})
    _, issues = find_all(dataset)
    with pytest.raises(ValueError, match="unknown issues ugly"):
        choose_clean(dataset.samples, issues, ["ugly"])


def test_pictures_without_a_face_are_a_issue_where_faces_were_looked_for(load_pictures):
    dataset = load_pictures(PLANTED)
    scan = scan_dataset(dataset)
    quality = measure_quality(dataset.samples, scan)
    faceless = {"train/Happy/plain3.png", "test/Sad/placeholder.png"}
    has_face = scan.is_readable & ~dataset.samples["path"].isin(faceless).to_numpy()
    issues = find_issues(dataset.samples, scan, quality, has_face=has_face)
    assert [issue.name for issue in issues] == list(ISSUE_NAMES)
    by_name = {issue.name: issue for issue in issues}
    assert list_paths(dataset, by_name["no_face"].mask) == faceless  # the damaged file has no other issue
    assert "one real face in 200" in by_name["no_face"].advice
    gone = ~choose_clean(dataset.samples, issues, ["no_face", "blank"])
    assert list_paths(dataset, gone) == faceless | EXPECTED["blank"]
    assert build_flags_table(dataset.samples, quality, issues)["no_face"].sum() == 2
    with pytest.raises(ValueError, match="unknown issues no_face"):
        choose_clean(dataset.samples, find_issues(dataset.samples, scan, quality), ["no_face"])


def test_grouping_decides_which_copies_stand_in_both_groups(load_pictures):
    dataset = load_pictures(PLANTED)
    regrouped = load_dataset(DatasetSpec(dataset.source, depressed_emotions=("fear", "neutral")))
    by_name = {issue.name: issue for issue in find_all(regrouped)[1]}
    assert list_paths(dataset, by_name["two_groups"].mask) == DOUBTFUL
    assert list_paths(dataset, by_name["two_emotions"].mask) == DOUBTFUL | WRONG


def test_data_set_of_two_groups_without_splits_has_contradictions_of_groups_only(load_pictures):
    face = draw_texture(1)
    dataset = load_pictures({"depressed/1.png": face, "non_depressed/1.png": face, "depressed/2.png": draw_texture(2)})
    quality, issues = find_all(dataset)
    flagged = {issue.name: issue.num_images for issue in issues if issue.num_images}
    assert flagged == {"exact_duplicate": 2, "two_groups": 2}
    assert find_shared_pictures(dataset.samples, quality) == []


def test_where_sizes_vary_only_the_far_ones_are_odd(load_pictures):
    sizes = [50, 60, 70, 80, 90, 100, 110, 120, 400]
    dataset = load_pictures({f"Happy/{side}.png": draw_texture(side, size=(side, side)) for side in sizes})
    by_name = {issue.name: issue for issue in find_all(dataset)[1]}
    assert list_paths(dataset, by_name["odd_size"].mask) == {"Happy/400.png"}


def test_only_damaged_files_are_no_reason_to_break_off(load_pictures):
    dataset = load_pictures({"Happy/1.png": b"no picture", "Sad/1.png": b""})
    quality, issues = find_all(dataset)
    assert {issue.name: issue.num_images for issue in issues if issue.num_images} == {"damaged": 2}
    assert quality[list(MEASURES)].isna().all(axis=None)
    assert not choose_clean(dataset.samples, issues, MEASURED_ISSUES).any()


def test_flags_table_has_a_row_for_each_picture_and_a_column_for_each_issue(load_pictures):
    dataset = load_pictures(PLANTED)
    quality, issues = find_all(dataset)
    table = build_flags_table(dataset.samples, quality, issues)
    assert list(table) == [
        "path",
        "subset",
        "emotion",
        "label",
        *MEASURES,
        "picture",
        "duplicate_group",
        *MEASURED_ISSUES,
    ]
    assert table["path"].tolist() == dataset.samples["path"].tolist()
    row = table.set_index("path").loc["train/Happy/wide.png"]
    assert (row["width"], row["height"], row["aspect"], row["odd_size"], row["blank"]) == (96, 48, 2.0, True, False)
    torn = table.set_index("path").loc["train/Happy/truncated.png"]
    assert pd.isna(torn["width"])
    assert torn["damaged"]
    assert {issue.name: int(table[issue.name].sum()) for issue in issues} == {
        issue.name: issue.num_images for issue in issues
    }


def test_index_of_another_data_set_is_a_mistake(load_pictures):
    dataset = load_pictures({"Happy/1.png": draw_texture(1), "Happy/2.png": draw_texture(2)})
    with pytest.raises(ValueError, match="1 samples, 2 pictures in the scan"):
        measure_quality(dataset.samples.iloc[:1], scan_dataset(dataset))


def test_new_limits_for_28000_pictures_take_a_fraction_of_a_second():
    """Measured: 25 to 40 ms on a machine in full use. Processor time, the best of five: the load counts little."""
    num_images, rng = 28_000, np.random.default_rng(0)
    fingerprints = rng.integers(0, 27_000, num_images)
    samples = pd.DataFrame(
        {
            "path": [f"{number}.png" for number in range(num_images)],
            "emotion": rng.choice(["happy", "sad", "fear"], num_images),
            "label": rng.choice(["depressed", "non_depressed"], num_images),
            "subset": rng.choice(["train", "val", "test"], num_images),
        },
        dtype=str,
    )
    scan = Scan(
        fingerprints=fingerprints.astype(str),
        duplicate_groups=fingerprints // 2,
        sizes=np.full((num_images, 2), 48, np.int32),
        thumbnails=np.broadcast_to(draw_texture(0), (num_images, 48, 48)),
        errors=np.full(num_images, "", dtype=str),
    )
    quality = measure_quality(samples, scan)
    seconds = []
    for number in range(5):
        started = time.process_time()
        find_issues(samples, scan, quality, IssueLimits(min_contrast=number / 5))
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.1


def draw_unlike_pictures(num_images: int) -> np.ndarray:
    """Returns soft random pictures, one in twenty of them a copy 12 levels brighter of another: `(n, 48, 48)`."""
    noise = np.random.default_rng(0).integers(0, 240, (num_images, 12, 12), dtype=np.uint8)
    images = np.stack([cv2.resize(picture, (48, 48), interpolation=cv2.INTER_LINEAR) for picture in noise])
    num_copies = num_images // 20
    images[-num_copies:] = images[:num_copies] + 12
    return images


@pytest.mark.slow
def test_ten_times_the_pictures_need_ten_times_the_comparisons_for_near_duplicates(monkeypatch):
    num_pairs = []
    join = duplicates._join_near_identical
    monkeypatch.setattr(
        duplicates,
        "_join_near_identical",
        lambda groups, pairs, left, right: num_pairs.append(len(pairs)) or join(groups, pairs, left, right),
    )
    pairs_per_picture = []
    for num_images in (1_500, 15_000):
        num_pairs.clear()
        groups = duplicates.find_near_duplicate_groups(draw_unlike_pictures(num_images))
        assert len(set(groups.tolist())) == num_images - num_images // 20
        pairs_per_picture.append(sum(num_pairs) / num_images)
    assert 0.05 <= pairs_per_picture[0] < 1
    assert pairs_per_picture[1] <= 2 * pairs_per_picture[0]


def test_check_prints_the_facts_and_each_issue_with_its_advice(load_pictures, capsys):
    dataset = load_pictures(PLANTED)
    assert main(["audit", "--data", dataset.source]) == 0
    output = capsys.readouterr().out.splitlines()
    num_unique = len(PLANTED) - 1 - len(REMOVED["exact_duplicate"])
    assert output[:2] == [
        f"pictures: {len(PLANTED)} files, {num_unique} different pictures",
        "1 of the 22 test pictures is also in train: nearly the same.",
    ]
    assert "Damaged files: 1" in output
    assert "Exact duplicates: 5 in 2 sets" in output
    advice = output[output.index("Exact duplicates: 5 in 2 sets") + 1]
    assert advice.endswith("Keep the first of each. Cleaning this away removes 3.")


def test_check_as_json_is_one_object_and_nothing_else(load_pictures, capsys):
    dataset = load_pictures(PLANTED)
    assert main(["audit", "--data", dataset.source, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["data"], facts["num_files"]) == ("pictures", len(PLANTED))
    assert facts["num_unique"] == len(PLANTED) - 1 - len(REMOVED["exact_duplicate"])
    assert facts["shared"] == [
        {
            "subset": "test",
            "other_subset": "train",
            "num_images": 22,
            "num_identical": 0,
            "num_similar": 1,
            "sentence": "1 of the 22 test pictures is also in train: nearly the same.",
        }
    ]
    assert {issue["name"]: issue["num_images"] for issue in facts["issues"]} == {
        name: len(paths) for name, paths in EXPECTED.items()
    }


def test_check_writes_the_table_and_says_where_it_cannot(load_pictures, tmp_path, capsys):
    dataset = load_pictures(PLANTED)
    path = tmp_path / "flags.csv"
    assert main(["audit", "--data", dataset.source, "--csv", str(path)]) == 0
    table = pd.read_csv(path)
    assert set(table["path"][table["two_groups"]]) == WRONG
    assert len(table) == len(PLANTED)
    capsys.readouterr()
    assert main(["audit", "--data", dataset.source, "--json", "--csv", str(tmp_path / "nowhere" / "flags.csv")]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "flags.csv could not be written" in output.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("archive", "num_files", "num_unique", "shared", "counts"),
    [
        (
            "kaggle_depression.zip",
            4492,
            3649,
            [("test", "train", 388, 388), ("val", "train", 388, 388), ("test", "val", 388, 388)],
            {
                "damaged": 0,
                "blank": 2,
                "dark": 6,
                "bright": 18,
                "low_contrast": 10,
                "blurred": 2,
                "odd_size": 0,
                "exact_duplicate": (1275, 432),
                "near_duplicate": (243, 83),
                "leak": (1207, 387),
                "two_emotions": (26, 11),
                "two_groups": (6, 3),
            },
        ),
        (
            "fer2013_faces.zip",
            28089,
            27070,
            [("test", "train", 3514, 476), ("val", "train", 2469, 330), ("test", "val", 3514, 87)],
            {
                "damaged": 0,
                "blank": 55,
                "dark": 67,
                "bright": 76,
                "low_contrast": 86,
                "blurred": 55,
                "odd_size": 0,
                "exact_duplicate": (1897, 878),
                "near_duplicate": (2971, 1142),
                "leak": (2015, 751),
                "two_emotions": (599, 184),
                "two_groups": (345, 103),
            },
        ),
    ],
)
def test_issues_of_the_real_faces(archive, num_files, num_unique, shared, counts, real_data_dir: Path):
    """Grouping near duplicates and decoding JPEG may differ by a few pictures from one library version to the next."""
    dataset = load_dataset(str(real_data_dir / archive))
    quality, issues = find_all(dataset)
    assert (len(quality), quality["picture"].nunique()) == (num_files, num_unique)
    pairs = find_shared_pictures(dataset.samples, quality)
    assert [(pair.subset, pair.other_subset, pair.num_images) for pair in pairs] == [
        expected[:3] for expected in shared
    ]
    assert [pair.num_similar for pair in pairs] == pytest.approx([expected[3] for expected in shared], rel=0.05)
    for issue in issues:
        expected = counts[issue.name]
        found_counts = (issue.num_images, issue.num_sets) if isinstance(expected, tuple) else issue.num_images
        assert found_counts == pytest.approx(expected, rel=0.05, abs=1), issue.name
    by_name = {issue.name: issue for issue in issues}
    assert by_name["exact_duplicate"].num_removed == num_files - num_unique
    if archive == "kaggle_depression.zip":
        parts = dataset.samples["subset"]
        assert set(quality["picture"][parts == "val"]) == set(quality["picture"][parts == "test"])
        assert pairs[0].sentence == "388 of the 388 test pictures are also in train, pixel for pixel."
        stays = choose_clean(dataset.samples, issues, ["leak", "exact_duplicate"])
        assert parts[stays].value_counts()["test"] == 388
        assert "val" not in set(parts[stays])
