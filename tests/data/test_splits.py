import io
import os
import zipfile
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage.data import lfw_subset

from facedep.data.export import build_export_names, export_dataset
from facedep.data.scan import Scan, scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.data.splits import (
    LEAK_FREE,
    PROTOCOLS,
    PUBLISHED,
    SUBSETS,
    SUPPLIED,
    SUPPLIED_CLEAN,
    Leak,
    check_protocol,
    count_leaks,
    merge_val_into_train,
    split_dataset,
)
from facedep.errors import DataError
from facedep.images.opening import compute_fingerprint, to_gray

CLASSES = ("angry", "happy", "neutral", "sad")


def _index(emotions: list[str], splits: list[str] | None = None) -> pd.DataFrame:
    splits = splits or [""] * len(emotions)
    rows = [
        (f"{s or 'all'}/{e}/{n:05d}.png", e, "depressed" if e in ("sad", "neutral") else "non_depressed", s, e)
        for n, (e, s) in enumerate(zip(emotions, splits, strict=True))
    ]
    return pd.DataFrame(rows, columns=["path", "emotion", "label", "subset", "folder"])


def _scan(fingerprints: list, groups: list[int] | None = None) -> Scan:
    """Returns a scan of pictures with these fingerprints ("" is a damaged one) and groups."""
    names = np.array([str(name) for name in fingerprints])
    if groups is None:
        groups = np.where(names == "", -1, np.unique(names, return_inverse=True)[1])
    return Scan(
        names,
        np.array(groups, np.int64),
        np.full((len(names), 2), 48, np.int32),
        np.zeros((len(names), 48, 48), np.uint8),
        np.where(names == "", "damaged", ""),
    )


# Leak-free, on tables.


@pytest.mark.parametrize("seed", range(3))
def test_a_leak_free_split_has_70_15_15_percent_of_each_emotion(seed):
    emotions = ["angry"] * 100 + ["happy"] * 300 + ["neutral"] * 200 + ["sad"] * 400
    samples, scan = _index(emotions), _scan(range(1000))
    subsets = split_dataset(samples, scan, LEAK_FREE, seed=seed)
    shares = pd.crosstab(samples["emotion"], subsets, normalize="index")
    np.testing.assert_allclose(shares[list(SUBSETS)].to_numpy(), [[0.70, 0.15, 0.15]] * 4, atol=0.011)


def test_group_folders_are_stratified_by_group():
    samples = _index(["sad"] * 100 + ["happy"] * 200)
    samples["emotion"] = ""
    subsets = split_dataset(samples, _scan(range(300)), LEAK_FREE)
    assert pd.crosstab(samples["label"], subsets)["test"].to_dict() == {"depressed": 15, "non_depressed": 30}


def test_the_seed_decides_the_cut():
    samples, scan = _index(["sad", "happy"] * 100), _scan(range(200))
    cuts = [split_dataset(samples, scan, LEAK_FREE, seed=seed).tolist() for seed in (0, 1, 2, 0)]
    assert cuts[0] == cuts[3]
    assert cuts[0] != cuts[1] != cuts[2] != cuts[0]


def test_identical_pictures_count_once_the_first_in_path_order():
    samples = _index(["sad", "happy"] * 50 + ["sad", "happy"] * 50)
    scan = _scan([*range(100), *range(100)])
    subsets = split_dataset(samples, scan, LEAK_FREE)
    assert set(subsets[:100]) == set(SUBSETS)
    assert set(subsets[100:]) == {""}


@pytest.mark.parametrize("seed", range(5))
def test_a_group_of_near_copies_is_never_cut_even_across_emotions(seed):
    rng = np.random.default_rng(seed)
    samples = _index([CLASSES[number] for number in rng.integers(0, 4, 600)])
    groups = rng.integers(0, 250, 600)
    subsets = split_dataset(samples, _scan(range(600), groups), LEAK_FREE, seed=seed)
    assert pd.Series(subsets).groupby(groups).nunique().max() == 1
    assert set(subsets) == set(SUBSETS)
    leaks = count_leaks(subsets, _scan(range(600), groups))
    assert {leak.num_similar for leak in leaks.values()} == {0}


def test_large_groups_do_not_spoil_the_shares():
    samples = _index(["sad"] * 500 + ["happy"] * 500)
    groups = np.concatenate([np.arange(500) // 5, 100 + np.arange(500)])
    subsets = split_dataset(samples, _scan(range(1000), groups), LEAK_FREE)
    counts = pd.crosstab(samples["emotion"], subsets)
    np.testing.assert_allclose(counts[list(SUBSETS)].to_numpy(), [[350, 75, 75]] * 2, atol=5)


@pytest.mark.parametrize("protocol", [LEAK_FREE, SUPPLIED, SUPPLIED_CLEAN, PUBLISHED])
def test_damaged_pictures_are_in_no_part(protocol):
    samples = _index(["sad", "happy"] * 150, [*["train"] * 200, *["val"] * 50, *["test"] * 50])
    fingerprints = [number if number % 10 else "" for number in range(300)]
    subsets = split_dataset(samples, _scan(fingerprints), protocol)
    assert set(subsets[::10]) == {""}
    assert (subsets != "").sum() == 270


@pytest.mark.parametrize("emotions", [["sad", "happy"], ["sad"] * 40 + ["happy"], ["sad"] * 40, []])
@pytest.mark.parametrize("protocol", [LEAK_FREE, PUBLISHED])
def test_too_few_pictures_for_a_split_are_refused_in_a_sentence(emotions, protocol):
    with pytest.raises(DataError, match=r"its (train|val) part has no .*depressed ones\. Add pictures"):
        split_dataset(_index(emotions), _scan(range(len(emotions))), protocol)


def test_ten_pictures_of_each_group_are_enough_for_every_part():
    samples = _index(["sad"] * 10 + ["happy"] * 10)
    subsets = split_dataset(samples, _scan(range(20)), LEAK_FREE)
    assert pd.crosstab(samples["label"], subsets).shape == (2, 3)
    assert pd.crosstab(samples["label"], subsets).to_numpy().min() >= 1


def test_an_unknown_kind_is_a_programmers_mistake():
    with pytest.raises(ValueError, match="leak-free"):
        split_dataset(_index(["sad", "happy"] * 20), _scan(range(40)), "random")


# As supplied.


def test_the_supplied_split_is_the_folders_own():
    splits = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    samples = _index(["sad", "happy"] * 4, splits)
    assert split_dataset(samples, _scan([1, 2, 3, 4, 1, 2, 3, 4]), SUPPLIED).tolist() == splits


@pytest.mark.parametrize("protocol", [SUPPLIED, SUPPLIED_CLEAN])
@pytest.mark.parametrize(
    ("splits", "missing"), [(["train", "val"], "test"), (["val", "test"], "train"), ([""], "test")]
)
def test_a_supplied_split_without_train_or_test_is_refused(protocol, splits, missing):
    samples = _index(["sad", "happy"] * 30, np.repeat(splits, 60 // len(splits)).tolist())
    with pytest.raises(DataError, match=rf"has no .*{missing}.* folder.*Choose the leak-free split"):
        split_dataset(samples, _scan(range(60)), protocol)


@pytest.mark.parametrize(
    ("protocol", "labels", "splits", "words"),
    [
        (LEAK_FREE, ["sad", "happy"], None, "val part has no depressed and no non-depressed"),
        (LEAK_FREE, ["sad", "sad", "happy", "angry"], None, "val part has no non-depressed"),
        (PUBLISHED, ["sad"] * 4 + ["happy"] * 5, None, "val part has no depressed"),
        (SUPPLIED, ["sad", "happy"] * 9, ["train"] * 9 + ["val"] * 9, "no test folder"),
        (SUPPLIED, ["sad", "happy", "sad"] * 2, ["train", "train", "val", "test", "test", "val"], "val .* no non-dep"),
        (SUPPLIED, ["sad", "happy"] * 4, ["train"] * 6 + ["test"] * 2, "val part has no depressed and no non-dep"),
        (SUPPLIED_CLEAN, ["sad", "happy"] * 4, ["test", "train"] * 4, "train part has no depressed"),
    ],
)
def test_what_the_names_alone_rule_out_is_refused_before_a_scan_and_after_it(protocol, labels, splits, words):
    samples, scan = _index(labels, splits) if splits else _index(labels), _scan(range(len(labels)))
    with pytest.raises(DataError, match=words):
        check_protocol(samples, protocol)
    with pytest.raises(DataError):
        split_dataset(samples, scan, protocol)


@pytest.mark.parametrize("seed", range(60))
def test_what_can_be_split_is_never_refused_by_its_names(seed):
    rng = np.random.default_rng(seed)
    number = int(rng.integers(2, 24))
    samples = _index(
        rng.choice(["sad", "neutral", "happy", "angry"], number).tolist(),
        rng.choice(["train", "train", "train", "val", "test"], number).tolist(),
    )
    fingerprints = rng.integers(0, number, number)
    scan = _scan(fingerprints.tolist(), (fingerprints // 2).tolist())
    for protocol in (LEAK_FREE, SUPPLIED, SUPPLIED_CLEAN, PUBLISHED):
        try:
            split_dataset(samples, scan, protocol)
        except DataError:
            continue
        check_protocol(samples, protocol)


@pytest.mark.parametrize("seed", range(3))
def test_without_a_val_folder_val_comes_out_of_train_with_no_copies_across(seed):
    rng = np.random.default_rng(seed)
    samples = _index(["sad", "happy"] * 200, ["train"] * 300 + ["test"] * 100)
    groups = np.concatenate([rng.integers(0, 150, 300), np.arange(1000, 1100)])
    scan = _scan(range(400), groups)
    subsets = split_dataset(samples, scan, SUPPLIED, seed=seed)
    assert set(subsets[300:]) == {"test"}
    assert set(subsets[:300]) == {"train", "val"}
    assert (subsets[:300] == "val").sum() == pytest.approx(45, abs=5)
    assert count_leaks(subsets, scan)["val"].num_similar == 0


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_supplied_split_shares_no_group_between_any_two_parts_and_keeps_test(seed):
    rng = np.random.default_rng(seed)
    samples = _index(["sad", "happy"] * 200, ["train"] * 280 + ["val"] * 60 + ["test"] * 60)
    groups = rng.integers(0, 300, 400)
    subsets = split_dataset(samples, _scan(range(400), groups), SUPPLIED_CLEAN, seed=seed)
    assert (subsets == "test").tolist() == (samples["subset"] == "test").tolist()
    for first, second in combinations(SUBSETS, 2):
        assert not set(groups[subsets == first]) & set(groups[subsets == second])
    kept = subsets != ""
    assert 200 < kept.sum() < 400
    assert subsets[kept].tolist() == samples["subset"][kept].tolist()


def test_where_val_is_a_copy_of_test_a_clean_supplied_split_takes_val_out_of_train():
    samples = _index(["sad", "happy"] * 140, ["train"] * 200 + ["val"] * 40 + ["test"] * 40)
    scan = _scan([*range(200), *range(40), *range(40)])
    subsets = split_dataset(samples, scan, SUPPLIED_CLEAN)
    assert set(subsets[:40]) == {""}
    assert set(subsets[200:240]) == {""}
    assert (subsets[:200] == "val").sum() == 24
    assert count_leaks(subsets, scan) == {"val": Leak(24, 0, 0), "test": Leak(40, 0, 0)}


@pytest.mark.parametrize("seed", range(3))
def test_a_final_fit_takes_all_but_what_looks_like_test(seed):
    rng = np.random.default_rng(seed)
    samples = _index(["sad", "happy"] * 200, ["train"] * 280 + ["val"] * 60 + ["test"] * 60)
    groups = rng.integers(0, 300, 400)
    scan = _scan([*range(399), ""], [*groups[:399], -1])
    subsets = merge_val_into_train(samples, scan, split_dataset(samples, scan, SUPPLIED_CLEAN), SUPPLIED_CLEAN)
    is_test = subsets == "test"
    assert is_test.sum() == 59
    like_test = np.isin(groups, groups[is_test])
    assert (subsets[:340][~like_test[:340]] == "train").all()
    assert (subsets[:340][like_test[:340]] == "").all()
    assert subsets[399] == ""


def test_a_final_fit_on_a_leak_free_split_adds_val_and_no_copies():
    samples = _index(["sad", "happy"] * 40)
    scan = _scan([*range(79), 0])
    before = split_dataset(samples, scan, LEAK_FREE)
    merged = merge_val_into_train(samples, scan, before, LEAK_FREE)
    assert ((merged == "train") == np.isin(before, ["train", "val"])).all()
    assert ((merged == "test") == (before == "test")).all()


def test_leaks_are_counted_exactly():
    subsets = np.array(["train", "train", "train", "val", "val", "val", "test", "test", ""])
    scan = _scan(["a", "b", "c", "a", "x", "y", "b", "c", "a"], [0, 1, 2, 0, 2, 5, 1, 2, 0])
    assert count_leaks(subsets, scan) == {"val": Leak(3, 1, 2), "test": Leak(2, 2, 2)}


def test_parts_without_pictures_have_no_leak():
    assert count_leaks(np.array(["train", "val"]), _scan(["a", "b"])) == {"val": Leak(1, 0, 0)}


# Planted copies, through files, scan and split.


def _save_as_jpeg(image: np.ndarray, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _save_as_png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _make_copies(photograph: np.ndarray) -> list[tuple[str, bytes]]:
    """Returns the near-copies of a photograph of 52 x 52 pixels, each 48 x 48."""
    middle = photograph[2:50, 2:50]
    shifts = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right]
    images = [
        np.clip(middle.astype(int) + 20, 0, 255).astype(np.uint8),
        np.clip(middle.astype(int) - 20, 0, 255).astype(np.uint8),
        middle[:, ::-1],
        *[photograph[2 + down : 50 + down, 2 + right : 50 + right] for down, right in shifts],
    ]
    jpegs = [("jpg", _save_as_jpeg(middle, quality)) for quality in (50, 75)]
    return [*jpegs, *[("png", _save_as_png(image)) for image in images]]


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> tuple[Dataset, Scan]:
    """100 different faces, each with one near-copy and every fifth with an identical one, in other emotions and parts.

    A file's name begins with its face's number.
    """
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(0)
    for number, face in enumerate(np.round(lfw_subset()[:100] * 255).astype(np.uint8)):
        photograph = np.asarray(Image.fromarray(face).resize((52, 52), Image.Resampling.BICUBIC))
        original = ("png", _save_as_png(photograph[2:50, 2:50]))
        copies = _make_copies(photograph)
        files = [original, copies[number % len(copies)], *[original] * (number % 5 == 0)]
        for copy, (suffix, content) in enumerate(files):
            subset = ("train", "train", "val", "test")[rng.integers(4)]
            target = folder / subset / CLASSES[(number + copy) % 4] / f"{number:03d}_{copy}.{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    dataset = load_dataset(str(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEDEP_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        return dataset, scan_dataset(dataset)


def test_every_planted_copy_is_found_and_no_other_picture_is_joined(planted):
    dataset, scan = planted
    faces = dataset.samples["path"].str.rpartition("/")[2].str[:3].astype(int)
    assert len(dataset.samples) == 220
    assert (
        len(set(zip(faces, scan.duplicate_groups, strict=True)))
        == len(set(faces))
        == len(set(scan.duplicate_groups))
        == 100
    )
    assert len(set(scan.fingerprints)) == 200


@pytest.mark.parametrize("seed", range(6))
def test_no_planted_copy_stands_on_two_sides_of_a_leak_free_split(planted, seed):
    dataset, scan = planted
    subsets = split_dataset(dataset.samples, scan, LEAK_FREE, seed=seed)
    faces = dataset.samples["path"].str.rpartition("/")[2].str[:3]
    used = subsets != ""
    assert used.sum() == 200
    assert pd.Series(subsets)[used].groupby(faces[used]).nunique().tolist() == [1] * 100
    assert set(subsets[used]) == set(SUBSETS)


def test_the_supplied_split_of_planted_copies_leaks(planted):
    dataset, scan = planted
    subsets = split_dataset(dataset.samples, scan, SUPPLIED)
    assert all(leak.num_similar > 10 for leak in count_leaks(subsets, scan).values())


# The scan.


def test_a_damaged_picture_is_scanned_with_its_sentence_and_the_rest_goes_on(write_pictures):
    folder = write_pictures(["Sad/1.png", "Sad/2.png", "Happy/3.png"])
    (folder / "Sad" / "2.png").write_bytes(b"cut off")
    scan = scan_dataset(load_dataset(str(folder)))
    assert scan.is_readable.tolist() == [True, True, False]
    assert scan.errors[2].startswith("Sad/2.png is not a picture")
    assert scan.duplicate_groups.tolist()[2] == -1
    assert (scan.sizes[2].tolist(), scan.fingerprints[2], scan.thumbnails[2].max()) == ([0, 0], "", 0)


@pytest.mark.parametrize("content", [None, b"cut off"], ids=["no class", "all damaged"])
def test_a_set_with_nothing_to_scan_is_scanned(write_pictures, content):
    folder = write_pictures(["Sad/1.png"] if content else ["Foo/1.png"])
    if content:
        (folder / "Sad" / "1.png").write_bytes(content)
    scan = scan_dataset(load_dataset(str(folder)))
    assert len(scan.errors) == bool(content)
    assert not scan.is_readable.any()


def test_a_scan_is_kept_until_a_file_changes(write_pictures):
    folder = write_pictures(["Sad/1.png", "Happy/2.png"])
    calls = []
    first = scan_dataset(load_dataset(str(folder)), on_progress=lambda *numbers: calls.append(numbers))
    assert calls == [(0, 2), (2, 2)]
    again = scan_dataset(load_dataset(str(folder)), on_progress=lambda *numbers: calls.append(numbers))
    assert calls == [(0, 2), (2, 2)]
    for name in Scan.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    Image.new("L", (16, 16), 9).save(folder / "Sad" / "1.png")
    changed = scan_dataset(load_dataset(str(folder)))
    assert (changed.fingerprints == first.fingerprints).tolist() == [True, False]


def test_a_damaged_cache_is_made_again(write_pictures):
    dataset = load_dataset(str(write_pictures(["Sad/1.png", "Happy/2.png"])))
    first = scan_dataset(dataset)
    (kept,) = Path(os.environ["FACEDEP_CACHE_DIR"]).glob("scans/*")
    for content in (b"", b"no array", kept.read_bytes()[:-300], bytes(500) + kept.read_bytes()[500:]):
        kept.write_bytes(content)
        np.testing.assert_array_equal(scan_dataset(dataset).fingerprints, first.fingerprints)


def test_without_a_cache_folder_a_scan_goes_on(write_pictures, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FACEDEP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    scan = scan_dataset(load_dataset(str(write_pictures(["Sad/1.png"]))))
    assert scan.is_readable.tolist() == [True]


def test_the_scans_fingerprint_is_the_pictures_own(write_pictures):
    folder = write_pictures(["Sad/1.png"])
    scan = scan_dataset(load_dataset(str(folder)))
    assert scan.fingerprints.tolist() == [compute_fingerprint(to_gray(Image.open(folder / "Sad" / "1.png")))]


# As published.


def _list_keras_files(folder: Path, subset: str) -> set[str]:
    from keras.src.legacy.preprocessing.image import ImageDataGenerator

    generator = ImageDataGenerator(validation_split=0.2).flow_from_directory(folder, subset=subset, class_mode="binary")
    return {Path(name).as_posix() for name in generator.filenames}


def _list_published_files(dataset: Dataset, scan: Scan, subset: str) -> set[str]:
    chosen = split_dataset(dataset.samples, scan, PUBLISHED) == subset
    names = np.array(build_export_names(dataset.samples), dtype=object)
    return {f"{label}/{name}" for label, name in zip(dataset.samples["label"][chosen], names[chosen], strict=True)}


def test_the_published_split_is_the_first_fifth_in_name_order():
    samples = _index(["sad"] * 12 + ["happy"] * 9)
    subsets = split_dataset(samples, _scan(range(21)), PUBLISHED)
    assert subsets.tolist() == ["val"] * 2 + ["train"] * 10 + ["val"] + ["train"] * 8


def test_the_published_split_is_what_keras_takes(write_pictures, tmp_path):
    names = ["9.png", "10.png", "1.PNG", "a.png", "B.png", "Z_1.jpg", "z.png", "é.png"]
    folders = ["train/Sad", "train/neutral", "test/Surprize", "val/Angry", "VAL/happy", "train/HAPPY", "test/Neutral"]
    folder = write_pictures([f"{enclosing}/{path}/{name}" for enclosing in "xy" for path in folders for name in names])
    dataset = load_dataset(str(folder))
    scan = scan_dataset(dataset)
    export_dataset(dataset, tmp_path / "out")
    for subset, keras_subset in (("train", "training"), ("val", "validation")):
        files = _list_published_files(dataset, scan, subset)
        assert files == _list_keras_files(tmp_path / "out", keras_subset)
        assert len(files) == {"train": 91, "val": 21}[subset]


# The real archives.


@pytest.fixture(scope="module")
def kaggle_set(real_archives, real_cache_dir) -> tuple[Dataset, Scan]:
    return _scan_archive(real_archives / "kaggle_depression.zip", real_cache_dir)


@pytest.fixture(scope="module")
def fer2013_set(real_archives, real_cache_dir) -> tuple[Dataset, Scan]:
    return _scan_archive(real_archives / "fer2013_faces.zip", real_cache_dir)


def _scan_archive(path: Path, cache_dir: Path) -> tuple[Dataset, Scan]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEDEP_CACHE_DIR", str(cache_dir))
        dataset = load_dataset(str(path))
        return dataset, scan_dataset(dataset)


def test_the_kaggle_set_is_what_was_measured_of_it(kaggle_set):
    dataset, scan = kaggle_set
    assert dataset.samples["subset"].value_counts().to_dict() == {"train": 3716, "val": 388, "test": 388}
    assert (dataset.samples["label"] == "depressed").sum() == 1456
    assert dataset.unknown_folders == {}
    assert scan.is_readable.all()
    assert len(np.unique(scan.fingerprints)) == 3649
    names = {
        subset: dataset.samples["path"][dataset.samples["subset"] == subset].str.split("/").str[3:]
        for subset in SUBSETS
    }
    assert names["val"].tolist() == names["test"].tolist()
    val, test = (scan.fingerprints[dataset.samples["subset"] == subset].tolist() for subset in ("val", "test"))
    assert val == test


def test_every_supplied_test_picture_of_the_kaggle_set_is_in_train(kaggle_set):
    dataset, scan = kaggle_set
    leaks = count_leaks(split_dataset(dataset.samples, scan, SUPPLIED), scan)
    assert leaks == {"val": Leak(388, 388, 388), "test": Leak(388, 388, 388)}


def test_half_of_the_published_validation_pictures_are_in_train(kaggle_set):
    dataset, scan = kaggle_set
    leak = count_leaks(split_dataset(dataset.samples, scan, PUBLISHED), scan)["val"]
    assert (leak.num_images, leak.num_identical) == (898, 446)


def test_the_leak_free_split_of_the_kaggle_set_holds_every_picture_once(kaggle_set):
    dataset, scan = kaggle_set
    subsets = split_dataset(dataset.samples, scan, LEAK_FREE)
    assert (subsets != "").sum() == 3649
    np.testing.assert_allclose([(subsets == subset).sum() / 3649 for subset in SUBSETS], [0.70, 0.15, 0.15], atol=0.01)
    assert count_leaks(subsets, scan)["test"].num_similar == 0


def test_the_published_split_of_the_kaggle_set_is_what_keras_takes(kaggle_set, tmp_path):
    dataset, scan = kaggle_set
    export_dataset(dataset, tmp_path / "out")
    for subset, keras_subset in (("train", "training"), ("val", "validation")):
        assert _list_published_files(dataset, scan, subset) == _list_keras_files(tmp_path / "out", keras_subset)


def test_the_folder_of_the_kaggle_archive_has_its_hash(real_data_dir, tmp_path):
    archive = real_data_dir / "kaggle_depression.zip"
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path / "set")
    assert load_dataset(str(tmp_path / "set")).content_hash == load_dataset(str(archive)).content_hash


def _find_highest_correlation(rows: np.ndarray, others: np.ndarray) -> float:
    return max(float((rows[start : start + 1000] @ others.T).max()) for start in range(0, len(rows), 1000))


@pytest.mark.slow
@pytest.mark.parametrize("archive", ["kaggle_set", "fer2013_set"])
def test_by_brute_force_no_pair_across_the_leak_free_split_is_near_identical(archive, request):
    dataset, scan = request.getfixturevalue(archive)
    subsets = split_dataset(dataset.samples, scan, LEAK_FREE)
    pixels = scan.thumbnails.astype(np.float32)
    straight, mirrored = (images.reshape(len(images), -1) for images in (pixels, pixels[:, :, ::-1]))
    for rows in (straight, mirrored):
        rows -= rows.mean(axis=1, keepdims=True)
        rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    step = 12 if archive == "fer2013_set" else 1  # of the larger set, each twelfth of the val and test pictures
    for first, second in (("val", "train"), ("test", "train"), ("test", "val")):
        for rows in (straight, mirrored):
            assert _find_highest_correlation(rows[subsets == first][::step], straight[subsets == second]) < 0.98


def test_every_kind_of_split_is_described():
    assert set(PROTOCOLS) == {LEAK_FREE, SUPPLIED, SUPPLIED_CLEAN, PUBLISHED}
