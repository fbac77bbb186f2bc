"""The networks, the meaning of their outputs, and model files: sound, damaged, from elsewhere and hostile."""

import io
import json
import shutil
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import small_networks
from PIL import Image

from facedep.errors import ModelError
from facedep.images.opening import compute_fingerprint, to_gray
from facedep.inference.pipeline import label_of, predict_picture
from facedep.networks import classifier as model
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE, Card
from facedep.networks.decision_threshold import forget_threshold, write_threshold
from facedep.networks.predictions import sum_depressed
from facedep.networks.recipes import ARTICLE, COMPACT, RECIPES
from facedep.training import architecture

EMOTIONS = ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"]


def _card(recipe=COMPACT, class_names=("depressed",), positive_classes=("depressed",), **others) -> dict:
    names = {"class_names": list(class_names), "positive_classes": list(positive_classes)}
    return {"format": 1, "recipe": recipe.name, **names, "threshold": 0.5, **others}


def _save(run_dir: Path, network, card: dict) -> Path:
    run_dir.mkdir(parents=True, exist_ok=True)
    architecture.save_network(network, RECIPES[card["recipe"]], run_dir / MODEL_FILE)
    (run_dir / CARD_FILE).write_text(json.dumps(card), "utf-8")
    return run_dir


def _draw_png(seed: int = 0, size: int = 60) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _count_multiply_adds(network) -> int:
    """Counts them layer by layer: each output value of a convolution or a dense layer is one dot product."""
    total = 0
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, height, width, _ = layer.output.shape
            total += height * width * int(np.prod(layer.kernel.shape))
        elif isinstance(layer, keras.layers.Dense):
            total += int(np.prod(layer.kernel.shape))
    return total


def _answer_always(recipe, outputs: list[float]):
    """Returns a network that answers the same for every picture: zeros everywhere but in the last biases."""
    network = architecture.build_network(recipe, len(outputs))
    layer = network.get_layer("probabilities")
    layer.set_weights([np.zeros(layer.kernel.shape, np.float32), np.array(outputs, np.float32)])
    return network


@pytest.fixture(scope="module")
def compact_dir(tmp_path_factory):
    """A sound run folder with an untrained compact network."""
    keras.utils.set_random_seed(3)
    return _save(tmp_path_factory.mktemp("models") / "sound", architecture.build_network(COMPACT, 1), _card())


@pytest.fixture
def run_dir(compact_dir, tmp_path):
    """A copy of the sound run folder, to be damaged."""
    return shutil.copytree(compact_dir, tmp_path / "my run")


# Size


def test_article_network_has_the_published_number_of_parameters():
    assert architecture.build_network(ARTICLE, 1).count_params() == 3_304_193


def test_article_network_has_the_published_layers():
    network = architecture.build_network(ARTICLE, 1)
    kinds = [type(layer).__name__ for layer in network.layers]
    head = ["Flatten", "Dropout", "Dense", "Dropout", "Dense"]
    assert kinds == ["InputLayer", "Rescaling", *["Conv2D", "MaxPooling2D"] * 3, *head]
    assert network.input_shape == (None, 128, 128, 1)
    assert [layer.rate for layer in network.layers if "Dropout" in type(layer).__name__] == [0.5, 0.3]
    assert [layer.filters for layer in network.layers if "Conv2D" in type(layer).__name__] == [32, 64, 128]


def test_compact_network_is_small():
    network = architecture.build_network(COMPACT, 7)
    assert network.count_params() < 1_000_000
    assert _count_multiply_adds(network) <= 67_000_000


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_recipe_states_its_multiply_adds_within_two_percent(recipe):
    num_outputs = 1 if recipe.learns == "groups" else 7
    counted = _count_multiply_adds(architecture.build_network(recipe, num_outputs))
    assert recipe.multiply_adds == pytest.approx(counted, rel=0.02)


@pytest.mark.parametrize(("num_outputs", "kind"), [(1, "sigmoid"), (7, "softmax")])
def test_outputs_are_probabilities(num_outputs, kind):
    network = architecture.build_network(COMPACT, num_outputs)
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 1), dtype=np.uint8)
    outputs = np.asarray(network.predict_on_batch(images))
    assert outputs.shape == (3, num_outputs)
    assert ((outputs > 0) & (outputs < 1)).all()
    if kind == "softmax":
        assert outputs.sum(axis=1) == pytest.approx(np.ones(3), abs=1e-5)


# What the outputs mean


@pytest.mark.parametrize("recipe", [ARTICLE, COMPACT], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize(("bias", "label", "probability"), [(100, "depressed", 1.0), (-100, "non_depressed", 0.0)])
def test_network_that_always_answers_1_answers_depressed(recipe, bias, label, probability, tmp_path):
    classifier = model.load_classifier(_save(tmp_path / "a", _answer_always(recipe, [bias]), _card(recipe)))
    answer = predict_picture(classifier, _draw_png(), "face.png")
    assert [face.label for face in answer.faces] == [label]
    assert answer.faces[0].probability_depressed == pytest.approx(probability, abs=1e-6)
    assert answer.faces[0].emotions is None
    assert answer.faces[0].prepared.shape == (recipe.input_size_px, recipe.input_size_px)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_network_that_always_answers_one_emotion_answers_its_group(emotion, tmp_path, monkeypatch):
    small_networks.shrink_networks(monkeypatch)
    outputs = [100.0 if name == emotion else 0.0 for name in EMOTIONS]
    card = _card(class_names=EMOTIONS, positive_classes=["neutral", "sad"])
    classifier = model.load_classifier(_save(tmp_path / "a", _answer_always(COMPACT, outputs), card))
    face = predict_picture(classifier, _draw_png(), "face.png").faces[0]
    is_depressed = emotion in ("neutral", "sad")
    assert face.label == ("depressed" if is_depressed else "non_depressed")
    assert face.probability_depressed == pytest.approx(float(is_depressed), abs=1e-6)
    assert list(face.emotions) == EMOTIONS
    assert max(face.emotions, key=face.emotions.get) == emotion


def test_label_is_depressed_at_the_threshold_and_the_card_sets_it(run_dir, compact_dir):
    assert [label_of(p, 0.5) for p in (0.0, 0.499, 0.5, 1.0)] == ["non_depressed"] * 2 + ["depressed"] * 2
    probability = predict_picture(model.load_classifier(compact_dir), _draw_png(), "x").faces[0].probability_depressed
    for threshold, label in ((probability - 0.01, "depressed"), (probability + 0.01, "non_depressed")):
        (run_dir / CARD_FILE).write_text(json.dumps(_card() | {"threshold": threshold}))
        assert predict_picture(model.load_classifier(run_dir), _draw_png(), "x").faces[0].label == label


def test_chosen_threshold_goes_before_the_cards_and_takes_the_band_with_it(run_dir, compact_dir):
    calibration = {"temperature": 1.0, "uncertain": {"low": 0.4, "high": 0.6, "target_error": 0.1}}
    (run_dir / CARD_FILE).write_text(json.dumps(_card() | {"calibration": calibration}))
    for chosen, band in ((0.55, (0.4, 0.6)), (0.7, None)):
        write_threshold(run_dir, chosen)
        loaded = model.load_classifier(run_dir)
        assert (loaded.threshold, loaded.abstention_band) == (chosen, band)
    forget_threshold(run_dir)
    loaded = model.load_classifier(run_dir)
    assert (loaded.threshold, loaded.abstention_band) == (0.5, (0.4, 0.6))


def test_sum_depressed_adds_the_columns_that_count_as_depressed():
    outputs = np.array([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]], np.float32)
    names = ["happy", "neutral", "sad"]
    assert sum_depressed(outputs, names, ["neutral", "sad"]) == pytest.approx([0.9, 0.5])
    assert sum_depressed(outputs, names, ["happy"]) == pytest.approx([0.1, 0.5])
    assert sum_depressed(outputs[:, :1], ["depressed"], ["depressed"]) == pytest.approx([0.1, 0.5])


def test_sum_depressed_stays_a_probability_and_is_float64():
    summed = sum_depressed(np.full((1, 3), 0.3333334, np.float32), ["a", "b", "c"], ["a", "b", "c"])
    assert summed.tolist() == [1.0]
    assert summed.dtype == np.float64


def test_many_pictures_get_the_answers_they_get_alone(compact_dir):
    classifier = model.load_classifier(compact_dir)
    images = np.random.default_rng(1).integers(0, 256, (300, 48, 48, 1), dtype=np.uint8)
    together = classifier.predict(images).probabilities
    alone = [classifier.predict(images[n : n + 1]).probabilities[0] for n in (0, 255, 256, 299)]
    assert together.shape == (300,)
    assert together[[0, 255, 256, 299]] == pytest.approx(alone, abs=1e-5)
    assert classifier.predict(images[:0]).probabilities.shape == (0,)


def test_picture_that_the_model_was_trained_on_is_recognised(run_dir):
    gray = to_gray(Image.open(io.BytesIO(_draw_png(seed=1))))
    (run_dir / FINGERPRINTS_FILE).write_text(f"0123456789abcdef\n{compute_fingerprint(gray)}\n")
    classifier = model.load_classifier(run_dir)
    assert predict_picture(classifier, _draw_png(seed=1), "x").faces[0].is_seen
    assert not predict_picture(classifier, _draw_png(seed=2), "x").faces[0].is_seen


# Saving and loading


@pytest.mark.parametrize("recipe", [ARTICLE, COMPACT], ids=lambda recipe: recipe.name)
def test_loaded_network_gives_the_outputs_that_it_gave_in_keras(recipe, tmp_path):
    keras.utils.set_random_seed(5)
    network = architecture.build_network(recipe, 1)
    size = recipe.input_size_px
    images = np.random.default_rng(0).integers(0, 256, (4, size, size, 1), dtype=np.uint8)
    expected = np.asarray(network.predict_on_batch(images))
    loaded = model.load_classifier(_save(tmp_path / "a", network, _card(recipe)))
    assert loaded.graph.compute(images) == pytest.approx(expected, abs=1e-6)
    assert (loaded.name, loaded.input_size_px, loaded.threshold) == ("a", size, 0.5)


def test_file_holds_no_optimizer_state(tmp_path):
    network = architecture.build_network(ARTICLE, 1)
    network.compile(optimizer="adam", loss="binary_crossentropy")
    network.train_on_batch(np.zeros((2, 128, 128, 1), np.uint8), np.array([[0.0], [1.0]]))
    _save(tmp_path / "a", network, _card(ARTICLE))
    assert 13_200_000 < (tmp_path / "a" / MODEL_FILE).stat().st_size < 14_000_000  # 4 bytes a parameter, not 12
    with (
        zipfile.ZipFile(tmp_path / "a" / MODEL_FILE) as archive,
        h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as weights,
    ):
        assert "optimizer" not in weights
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [CARD_FILE, MODEL_FILE]


def test_saving_again_replaces_the_file(run_dir):
    network = _answer_always(COMPACT, [100])
    architecture.save_network(network, COMPACT, run_dir / MODEL_FILE)
    images = np.zeros((1, 48, 48, 1), np.uint8)
    assert model.load_classifier(run_dir).predict(images).probabilities == pytest.approx([1.0])


# Damaged and hostile files


def _write_weights(path: Path, change) -> None:
    """Rewrites the weights inside a model file after `change` was made to them."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "a") as weights:
        change(weights)
    members["model.weights.h5"] = buffer.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zero(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _make_text(path: Path) -> None:
    path.write_text("<html>Not found</html>")


def _take_other_recipe(path: Path) -> None:
    architecture.save_network(architecture.build_network(ARTICLE, 1), ARTICLE, path)


def _take_other_outputs(path: Path) -> None:
    architecture.save_network(architecture.build_network(COMPACT, 7), COMPACT, path)


def _leave_out_a_layer(path: Path) -> None:
    _write_weights(path, lambda weights: weights["layers"].pop("dense"))


def _leave_out_all_layers(path: Path) -> None:
    _write_weights(path, lambda weights: weights.pop("layers"))


def _make_zip_without_weights(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")


def _damage_a_byte_of_the_weights(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [_truncate, _zero, _empty, _make_text, _take_other_recipe, _take_other_outputs, _leave_out_a_layer,
     _leave_out_all_layers, _make_zip_without_weights, _damage_a_byte_of_the_weights],
)  # fmt: skip
def test_damaged_model_file_gives_a_sentence_that_names_the_run(damage, run_dir, recwarn):
    damage(run_dir / MODEL_FILE)
    with pytest.raises(ModelError, match=r"model\.keras of 'my run' is damaged or belongs to another network\. Choose"):
        model.load_classifier(run_dir)
    assert [str(warning.message) for warning in recwarn if "container" in str(warning.message)] == []


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.slow
def test_random_damage_loads_or_gives_a_sentence_and_nothing_else(seed, run_dir):
    rng = np.random.default_rng(seed)
    path = run_dir / MODEL_FILE
    with zipfile.ZipFile(path) as archive:
        weights = bytearray(archive.read("model.weights.h5"))
    for place in rng.integers(0, 60_000, 40):  # where HDF5 keeps its structure
        weights[place] = rng.integers(0, 256)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", bytes(weights))
    try:
        answer = model.load_classifier(run_dir).name
    except ModelError as error:
        answer = str(error)
    assert "my run" in answer


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(value, run_dir):
    def spoil(weights) -> None:
        weights["layers/dense/vars/1"][0] = value

    _write_weights(run_dir / MODEL_FILE, spoil)
    with pytest.raises(ModelError, match=r"model\.keras of 'my run' holds weights that are not finite"):
        model.load_classifier(run_dir)


def test_model_that_answers_with_no_number_says_so_instead_of_non_depressed(run_dir):
    def spoil(weights) -> None:  # a negative variance: finite itself, its root is not
        weights["layers/batch_normalization/vars/3"][:] = -5.0

    _write_weights(run_dir / MODEL_FILE, spoil)
    classifier = model.load_classifier(run_dir)
    with pytest.raises(ModelError, match="The model 'my run' predicts values that are not numbers"):
        classifier.predict(np.zeros((1, 48, 48, 1), np.uint8))


def test_implausibly_large_model_file_is_not_opened(run_dir):
    with (
        zipfile.ZipFile(run_dir / MODEL_FILE, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("model.weights.h5", "w") as member,
    ):
        for _ in range(513):
            member.write(bytes(1024**2))
    assert (run_dir / MODEL_FILE).stat().st_size < 10 * 1024**2
    with pytest.raises(ModelError, match=r"model\.keras of 'my run' is damaged or belongs to another network"):
        model.load_classifier(run_dir)


def test_missing_files_give_a_sentence_that_names_the_run(run_dir):
    (run_dir / MODEL_FILE).unlink()
    with pytest.raises(ModelError, match=r"The model 'my run' has no model\.keras"):
        model.load_classifier(run_dir)
    (run_dir / CARD_FILE).unlink()
    with pytest.raises(ModelError, match="The model 'my run' has no finished model"):
        model.load_classifier(run_dir)
    with pytest.raises(ModelError, match="The model 'gone' does not exist"):
        model.load_classifier(run_dir.with_name("gone"))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"class_names": ["cat", "dog"], "positive_classes": ["dog"]}, "its class names are unknown"),
        ({"class_names": None}, "class_names is no list of texts"),
        ({"class_names": [], "positive_classes": []}, "its class names are missing"),
        ({"class_names": [1], "positive_classes": [1]}, "class_names is no list of texts"),
        ({"class_names": ["happy", "happy"], "positive_classes": ["happy"]}, "contradict each other"),
        ({"class_names": ["happy", "sad"], "positive_classes": ["neutral"]}, "contradict each other"),
        ({"recipe": "resnet152"}, "its recipe 'resnet152' is unknown"),
        ({"recipe": ["compact"]}, "recipe is no text"),
        ({"threshold": 1.5}, "decision_threshold is no number from 0 to 1"),
        ({"threshold": float("nan")}, "decision_threshold is no number from 0 to 1"),
        ({"threshold": "0.5"}, "decision_threshold is no number from 0 to 1"),
        ({"data": []}, "data is no table"),
        ({"data": {"seed": "x"}}, "seed of its data is no whole number"),
    ],
)
def test_card_that_makes_no_sense_is_refused_with_what_is_wrong(changes, problem, run_dir):
    (run_dir / CARD_FILE).write_text(json.dumps(_card() | changes))
    with pytest.raises(ModelError, match=r"card\.json of 'my run' is not one of this app's: .*" + problem):
        model.load_classifier(run_dir)


@pytest.mark.parametrize("content", ["", "{", "\x00" * 50, "[" * 100_000])
def test_unreadable_card_is_refused(content, run_dir):
    (run_dir / CARD_FILE).write_text(content)
    with pytest.raises(ModelError, match=r"card\.json of 'my run' cannot be read"):
        model.load_classifier(run_dir)


def test_sound_cards_have_no_problem():
    assert Card.from_json(_card()).recipe == "compact"
    assert Card.from_json(_card(ARTICLE, data={"seed": 7})).data.seed == 7
    assert Card.from_json(_card(class_names=EMOTIONS, positive_classes=["neutral", "sad"])).class_names[0] == "angry"
    with pytest.raises(ModelError, match="it is no table of names and values"):
        Card.from_json([_card()])


BAND = {"low": 0.4, "high": 0.6, "target_error": 0.1}


@pytest.mark.parametrize(
    ("calibration", "problem"),
    [
        ({"temperature": 1.3, "uncertain": BAND}, None),
        ({"temperature": 1.3, "uncertain": None}, None),
        ([], "calibration is no table"),
        ({"temperature": 0}, "temperature of its calibration is no number"),
        ({"temperature": "1"}, "temperature of its calibration is no number"),
        ({"temperature": float("nan")}, "temperature of its calibration is no number"),
        ({"uncertain": [0.4, 0.6]}, "abstention_band of its calibration is no table"),
        ({"uncertain": {**BAND, "low": None}}, "low of its abstention_band is no number"),
        ({"uncertain": {**BAND, "low": 0.55}}, "its abstention band is not around its decision threshold"),
        ({"uncertain": {**BAND, "high": float("nan")}}, "high of its abstention_band is no number"),
    ],
)
def test_calibration_of_a_card_is_checked(calibration, problem):
    if problem is None:
        assert Card.from_json(_card(calibration=calibration)).temperature == 1.3
        return
    with pytest.raises(ModelError, match=problem):
        Card.from_json(_card(calibration=calibration))


@pytest.mark.parametrize(("probability", "is_uncertain"), [(0.39, False), (0.4, True), (0.5, True), (0.6, False)])
def test_answer_within_the_band_is_uncertain(probability, is_uncertain, tmp_path, monkeypatch):
    """A sigmoid whose bias is the logit of the probability answers with it whatever it sees."""
    small_networks.shrink_networks(monkeypatch)
    bias = float(np.log(probability / (1 - probability)))
    card = _card(calibration={"temperature": 1.0, "uncertain": {**BAND, "low": 0.4 - 1e-6, "high": 0.6 - 1e-6}})
    classifier = model.load_classifier(_save(tmp_path / "a", _answer_always(COMPACT, [bias]), card))
    face = predict_picture(classifier, _draw_png(), "face.png").to_json()["faces"][0]
    assert face["uncertain"] is is_uncertain
    assert face["label"] == ("depressed" if probability >= 0.5 else "non_depressed")


def test_model_that_averages_with_the_mirror_image_answers_both_the_same(tmp_path):
    network = architecture.build_network(COMPACT, 1)
    images = np.random.default_rng(0).integers(0, 256, (5, 48, 48, 1), dtype=np.uint8)
    straight, mirrored = (architecture.compute_outputs(network, array) for array in (images, images[:, :, ::-1]))
    assert not np.allclose(straight, mirrored, atol=1e-6)
    classifier = model.load_classifier(_save(tmp_path / "a", network, _card(uses_flip_tta=True)))
    for array in (images, images[:, :, ::-1]):
        assert classifier.predict(array).probabilities == pytest.approx((straight + mirrored)[:, 0] / 2, abs=1e-5)


def test_model_file_cannot_bring_code(run_dir, compact_dir, tmp_path):
    marker = str(tmp_path / "the code ran")
    inputs = keras.Input((48, 48, 1))
    evil = keras.Model(inputs, keras.layers.Lambda(lambda x: (open(marker, "w").close(), x)[1])(inputs))
    evil.save(tmp_path / "evil.keras")
    path = run_dir / MODEL_FILE
    with zipfile.ZipFile(tmp_path / "evil.keras") as archive:
        config = archive.read("config.json")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"config.json": config}).items():
            archive.writestr(name, content)

    Path(marker).unlink()
    keras.saving.load_model(tmp_path / "evil.keras", safe_mode=False)
    assert Path(marker).exists()  # so the code is there and works

    Path(marker).unlink()
    images = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1), dtype=np.uint8)
    answers = model.load_classifier(run_dir).predict(images).probabilities
    assert not Path(marker).exists()
    assert np.array_equal(answers, model.load_classifier(compact_dir).predict(images).probabilities)
