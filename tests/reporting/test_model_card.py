"""The model card: every kind of card renders, says what it holds and nothing else, and nobody's text becomes markup."""

import copy
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from facedep.data.sources import load_dataset
from facedep.evaluation.intervals import compute_wilson_interval
from facedep.networks.card import Card
from facedep.networks.card_format import upgrade_card, upgrade_scores
from facedep.networks.recipes import RECIPES
from facedep.reporting.known_data import KNOWN_DATA
from facedep.reporting.model_card import render_model_card
from facedep.reporting.model_card_facts import SAMPLE_NAME

PROJECT_DIR = Path(__file__).resolve().parents[2]
SECTIONS = ["Model details", "Intended use", "Out of scope and misuse", "Factors", "Metrics",
            "Training data and its known issues", "Evaluation data", "Quantitative analyses",
            "Calibration and the abstention band", "Ethical considerations", "Caveats and recommendations",
            "How it was made"]  # fmt: skip
FER2013, KAGGLE = "4efde1ea496fd40c", "bba6fbbc58352639"


def _scores(shift: float = 0.0, **others) -> dict:
    """Returns what `score_predictions` gives; `shift` makes all of a set's numbers different from another's."""
    return {
        "num_images": 3514,
        "accuracy": 0.8171 + shift,
        "majority_baseline": {"name": "non_depressed", "share": 0.6437 + shift},
        "balanced_accuracy": 0.7912 + shift,
        "roc_auc": 0.8914 + shift,
        "ece": 0.0213 + shift,
        "intervals": {
            "accuracy": [0.8042 + shift, 0.8299 + shift],
            "balanced_accuracy": [0.7773 + shift, 0.8051 + shift],
            "roc_auc": [0.8795 + shift, 0.9033 + shift],
        },
        "emotion_accuracy": 0.6867 + shift,
        "emotion_accuracy_interval": [0.6711 + shift, 0.7018 + shift],
        "per_emotion": {
            "happy": {
                "num_images": 882,
                "group_accuracy": 0.9457 + shift,
                "group_accuracy_interval": [0.9308 + shift, 0.9606 + shift],
                "emotion_accuracy": 0.8849 + shift,
                "emotion_accuracy_interval": [0.8636 + shift, 0.9059 + shift],
                "mean_probability": 0.0918 + shift,
            },
            "contempt": {
                "num_images": 21,
                "group_accuracy": 0.5238 + shift,
                "group_accuracy_interval": [0.3333 + shift, 0.7142 + shift],
                "emotion_accuracy": None,
                "emotion_accuracy_interval": [None, None],
                "mean_probability": 0.4876 + shift,
            },
        },
        "answered": {
            "num_images": 2718,
            "share": 0.7735 + shift,
            "accuracy": 0.8988 + shift,
            "accuracy_interval": [0.8874 + shift, 0.9097 + shift],
            "majority_baseline": {"name": "non_depressed", "share": 0.6941 + shift},
        },
        **others,
    }


def _full_card(**changes) -> dict:
    """A card with everything that a card can hold."""
    card = {
        "format": 1,
        "recipe": "compact",
        "input_size_px": 48,
        "class_names": ["angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"],
        "positive_classes": ["neutral", "sad"],
        "threshold": 0.47,
        "uses_flip_tta": True,
        "calibration": {
            "temperature": 1.237,
            "uncertain": {"low": 0.381, "high": 0.642, "target_error": 0.11},
            "chosen_on": "val",
            "num_images": 2387,
            "run": "first-run",
        },
        "data": {
            "name": "fer2013_faces.zip",
            "content_hash": FER2013,
            "split": "supplied-clean",
            "seed": 3,
            "num_images": {"train": 20974, "val": 2386, "test": 3513},
            "leaks": {"test": {"num_images": 3513, "num_identical": 17, "num_similar": 29}},
        },
        "training": {
            "num_epochs": 43,
            "kept_epoch": 39,
            "seconds": 3599.3,
            "num_images_seen": 839000,
            "was_stopped": True,
            "has_diverged": True,
            "teacher": "teacher-run",
            "refit_of": "first-run",
        },
        "versions": {"facedep": "0.1.0", "keras": "3.15.1", "backend": "tensorflow", "python": "3.11.7"},
        "scores": {"test": _scores(), "val": _scores(0.01)},
        "evaluations": [
            _scores(
                0.02,
                model="my-model",
                data="kaggle_depression.zip",
                content_hash=KAGGLE,
                split="leak-free",
                part="all",
                num_images=3649,
                num_in_training_set=13,
                num_also_in_train=0,
                num_unreadable=0,
            )
        ],
        "command": "python -m facedep train --data fer2013_faces.zip --epochs 43 --name my-model",
    }
    return {**upgrade_card(card), **changes}


def _article_card(**changes) -> dict:
    """A card of the published recipe on a user's own folders: two groups, basic scores, nothing calibrated."""
    scores = {"num_images": 60, "accuracy": 0.65, "always_non_depressed_accuracy": 0.6667, "balanced_accuracy": None,
              "roc_auc": None, "ece": 0.21}  # fmt: skip
    card = {
        "format": 1,
        "recipe": "article",
        "input_size_px": 128,
        "class_names": ["depressed"],
        "positive_classes": ["depressed"],
        "threshold": 0.5,
        "data": {"name": "holiday pictures", "content_hash": "0123456789abcdef", "split": "leak-free", "seed": 0},
        "scores": {"test": scores},
    }
    return {**upgrade_card(card), **changes}


def _committed_card() -> dict:
    return json.loads((PROJECT_DIR / "models" / "real-faces-compact" / "card.json").read_text("utf-8"))


def _older_card() -> dict:
    """A card as it was before there were intervals, calibration and scores on other data."""
    card = _committed_card()
    for name in ("evaluations", "calibration", "earlier_commands"):
        del card[name]
    card["training"]["refit_of"] = ""
    names = ("num_images", "accuracy", "always_non_depressed_accuracy", "balanced_accuracy", "roc_auc", "ece")
    card["scores"] = {
        "val": upgrade_scores(dict(zip(names, (2387, 0.8132, 0.6628, 0.7944, 0.8948, 0.0352), strict=True))),
        "test": upgrade_scores(dict(zip(names, (3514, 0.8017, 0.6437, 0.7814, 0.8796, 0.0297), strict=True))),
    }
    return card


def _bare_card() -> dict:
    return {"recipe": "compact", "class_names": ["depressed"], "positive_classes": ["depressed"]}


CARDS = {"committed": _committed_card, "full": _full_card, "article": _article_card, "bare": _bare_card}


@pytest.fixture(params=CARDS.values(), ids=CARDS)
def card(request) -> dict:
    return request.param()


def _section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def _tables(text: str) -> list[list[list[str]]]:
    """Returns the tables of a Markdown text: rows of cells."""
    tables, previous = [], ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not previous.startswith("|"):
                assert previous == "", "a table needs an empty line before it"
                tables.append([])
            assert line.startswith("| ")
            assert line.endswith(" |")
            tables[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        previous = line
    return tables


# Every card renders


def test_cards_of_these_tests_are_cards(card):
    assert Card.from_json(card).recipe == card["recipe"]


def test_sections_stand_in_the_conventions_order(card):
    titles = re.findall(r"^## (.+)$", render_model_card("my-model", card), re.MULTILINE)
    assert titles == [title for title in SECTIONS if title in titles]
    assert set(SECTIONS) - set(titles) <= {"Evaluation data", "Metrics", "How it was made"}


def test_full_card_has_every_section():
    assert re.findall(r"^## (.+)$", render_model_card("my-model", _full_card()), re.MULTILINE) == SECTIONS


def test_no_programmers_words_and_no_empty_places(card):
    text = render_model_card("my-model", card)
    assert not re.search(r"\b(None|nan|NaN|null|True|False|inf)\b|[{}]|\(\)|  +\S| [.,;]", _without_command(text))
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\n\n\n" not in text


def _without_command(text: str) -> str:
    return re.sub(r"^    .*$", "", text, flags=re.MULTILINE)


def test_tables_are_well_formed(card):
    for table in _tables(render_model_card("my-model", card)):
        header, rule, *rows = table
        assert len(header) > 1
        assert set(rule) == {"---"}
        assert rows
        assert {len(row) for row in table} == {len(header)}
        assert all(cell for row in table for cell in row)


def test_nan_counts_as_missing_like_null():
    def spoil(value):
        if isinstance(value, dict):
            return {name: spoil(item) for name, item in value.items()}
        if isinstance(value, list):
            return [spoil(item) for item in value]
        return math.nan if value is None else value

    assert render_model_card("a", spoil(_full_card())) == render_model_card("a", _full_card())
    assert render_model_card("a", spoil(_article_card())) == render_model_card("a", _article_card())


def _paths(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from _paths(item, (*path, name))


@pytest.mark.parametrize(
    "junk", [None, "x", 7, True, [], {}, [1], {"x": {}}, math.inf, 10**400, -1.5], ids=lambda junk: str(junk)[:9]
)
def test_value_of_an_unexpected_kind_counts_as_missing(junk):
    for path in list(_paths(_full_card()))[1:]:
        card = _full_card()
        parent = card
        for name in path[:-1]:
            parent = parent[name]
        parent[path[-1]] = copy.deepcopy(junk)
        text = render_model_card("my-model", card)
        assert not re.search(r"\b(None|nan|inf|True|False)\b|[{}]", _without_command(text)), path
        _tables(text)


# Every number is the card's


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d(?:[\d.,]*\d)?", text))


def _forms(value) -> set[str]:
    """Returns the ways to print a card's value that the renderer may use."""
    if isinstance(value, dict | list):
        items = [*value, *value.values()] if isinstance(value, dict) else value
        return set().union(*map(_forms, items))
    if isinstance(value, str):
        return _numbers(value)
    if value is None or isinstance(value, bool):
        return set()
    return {f"{value:,.0f}", f"{value:.0f}", f"{value:g}", f"{value:.4g}", f"{value:.3f}", f"{100 * value:.1f}",
            f"{100 * value:.4g}"}  # fmt: skip


def _change_numbers(value):
    """Returns the same card with another number in place of each."""
    if isinstance(value, dict):
        return {name: _change_numbers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_change_numbers(item) for item in value]
    if value is None or isinstance(value, bool | str):
        return value
    return value + 1 if isinstance(value, int) else value * 0.983


def test_every_number_is_on_the_card_but_for_those_in_the_fixed_words(card):
    printed = _numbers(render_model_card("my-model", card))
    fixed = printed & _numbers(render_model_card("my-model", _change_numbers(card)))
    fixed.add("1927")  # the source of Wilson's interval is named only beside intervals that are his
    assert printed - fixed <= _forms(card)
    assert len(printed - fixed) >= len(_tables(render_model_card("my-model", card)))


def test_every_score_and_interval_of_a_full_card_is_printed():
    text = render_model_card("my-model", _full_card())
    for scores in (_full_card()["scores"]["test"], _full_card()["evaluations"][0]):
        intervals = scores["intervals"]
        for share, interval in (
            (scores["accuracy"], intervals["accuracy"]),
            (scores["emotion_accuracy"], scores["emotion_accuracy_interval"]),
            (scores["selective_accuracy"], scores["selective_accuracy_interval"]),
            *((row["group_accuracy"], row["group_accuracy_interval"]) for row in scores["per_emotion"].values()),
        ):
            low, high = interval
            assert f"| {100 * share:.1f} % ({100 * low:.1f}–{100 * high:.1f}) |" in text
        for name in ("balanced_accuracy", "roc_auc"):
            low, high = intervals[name]
            assert f"| {scores[name]:.3f} ({low:.3f}–{high:.3f}) |" in text
        assert f"| {100 * scores['coverage']:.1f} % |" in text


def test_scores_by_hand():
    rows = _tables(_section(render_model_card("my-model", _older_card()), "Quantitative analyses"))[0]
    assert rows == [
        ["scored on", "pictures", "right", "always one answer", "balanced", "ROC AUC", "ECE"],
        ["---"] * 7,
        ["fer2013\\_faces.zip, test", "3,514", "80.2 %", "64.4 % (non-depressed)", "0.781", "0.880", "0.030"],
        ["fer2013\\_faces.zip, val", "2,387", "81.3 %", "66.3 % (non-depressed)", "0.794", "0.895", "0.035"],
    ]


def test_each_expression_is_shown_with_its_group():
    tables = _tables(_section(render_model_card("my-model", _full_card()), "Quantitative analyses"))
    assert tables[1][0] == ["emotion", "counts as", "pictures", "right group", "right emotion", "mean P(depressed)"]
    assert tables[1][2] == ["happy", "non-depressed", "882", "94.6 % (93.1–96.1)", "88.5 % (86.4–90.6)", "0.092"]
    assert tables[1][3] == ["contempt", "non-depressed", "21", "52.4 % (33.3–71.4)", "–", "0.488"]
    assert "Intervals over fewer than 50 pictures" in render_model_card("my-model", _full_card())


def test_intervals_of_shares_are_called_wilsons_if_they_are():
    card = _full_card(evaluations=[])
    card["training"]["refit_of"] = ""
    text = render_model_card("m", card)
    assert "Wilson 1927" not in text
    assert "are too narrow" in text
    for scores in card["scores"].values():
        num_right = round(scores["accuracy"] * scores["num_images"])
        scores["accuracy"] = num_right / scores["num_images"]
        scores["intervals"]["accuracy"] = list(compute_wilson_interval(num_right, scores["num_images"]))
    text = render_model_card("m", card)
    assert "of shares Wilson 1927" in text
    assert "are too narrow" not in text


def test_calibration_names_the_run_and_the_pictures_it_was_chosen_on():
    section = _section(render_model_card("my-model", _full_card()), "Calibration and the abstention band")
    assert "Temperature 1.237, chosen on the val part of the run first-run (2,387 pictures)" in section
    assert "A P(depressed) from 0.381 to below 0.642 counts as uncertain and gets no prediction." in section
    assert "with which on these pictures at most 11 % of the predictions were wrong" in section


def test_calibration_without_a_band_says_so():
    calibration = {"temperature": 1.5, "uncertain": None, "chosen_on": "val", "num_images": 90, "run": ""}
    text = render_model_card("my-model", _full_card(calibration=calibration))
    section = _section(text, "Calibration and the abstention band")
    assert "chosen on the val part (90 pictures)" in section
    assert "There is no abstention band: every face gets a prediction." in section


def test_empty_band_is_called_empty():
    card = _full_card()
    card["calibration"]["abstention_band"] = {"low": 0.47, "high": 0.47, "target_error": 0.1}
    section = _section(render_model_card("my-model", card), "Calibration and the abstention band")
    assert (
        "The abstention band is empty: on these pictures at most 10 % of the predictions were wrong without one."
        in section
    )


def test_card_without_calibration_says_that_there_is_none(card):
    if not card.get("calibration"):
        section = _section(render_model_card("my-model", card), "Calibration and the abstention band")
        assert "not calibrated, and without an abstention band" in section


def test_making_of_a_full_card():
    text = render_model_card("my-model", _full_card())
    made = _section(text, "How it was made")
    assert "\n\n    python -m facedep train --data fer2013_faces.zip --epochs 43 --name my-model\n\n" in made
    for words in ("Epochs: 43; the weights after epoch 39 were kept", "Seconds: 3,599.", "every epoch: 839,000.",
                  "Seed: 3.", "facedep 0.1.0, keras 3.15.1, backend tensorflow, python 3.11.7"):  # fmt: skip
        assert words in made
    data = _section(text, "Training data and its known issues")
    assert "it learned from train and val together" in data
    assert "those chosen in the run first-run." in data
    assert "The predictions of the model teacher-run were mixed into the labels" in data
    assert "mean over the face and its mirror image" in _section(text, "Model details")


def test_refit_shows_no_val_score_because_it_learned_val():
    card = _full_card()
    assert "fer2013\\_faces.zip, val" not in render_model_card("my-model", card)
    card["training"]["refit_of"] = ""
    text = render_model_card("my-model", card)
    assert "| fer2013\\_faces.zip, val |" in text
    assert "is a refit" not in text


# What is claimed of the data


def test_issues_are_named_of_the_data_with_that_content_only():
    fer2013, kaggle = KNOWN_DATA[FER2013], KNOWN_DATA[KAGGLE]
    text = render_model_card("m", _older_card())
    assert all(fault in text for fault in fer2013.issues)
    assert kaggle.title not in text
    text = render_model_card("m", _article_card(data={"name": "any name", "content_hash": KAGGLE}))
    assert all(fault in text for fault in kaggle.issues)
    assert fer2013.title not in text


@pytest.mark.parametrize("name", ["holiday pictures", "fer2013_faces.zip", "kaggle_depression.zip", "sample"])
def test_card_of_other_data_claims_nothing_about_the_public_sets(name):
    text = render_model_card("m", _article_card(data={"name": name, "content_hash": "0123456789abcdef"}))
    words = text.replace(name.replace("_", "\\_"), "")
    assert not re.search(r"fer2013|kaggle|web search|neutral faces|new name for|drawn by code", words, re.IGNORECASE)
    assert "issues of this data set were not looked into" in text


def test_issues_of_other_data_that_it_was_scored_on_are_named_beside_the_evaluation():
    section = _section(render_model_card("m", _full_card()), "Evaluation data")
    assert f"kaggle\\_depression.zip is {KNOWN_DATA[KAGGLE].title}." in section
    assert KNOWN_DATA[FER2013].title not in section


def test_each_fault_is_told_once():
    text = render_model_card("m", _full_card(evaluations=2 * _full_card()["evaluations"]))
    for known in KNOWN_DATA.values():
        assert [text.count(fault) for fault in known.issues] == [1] * len(known.issues)


@pytest.mark.parametrize("names", [["happy", "sad"], ["depressed"]], ids=["emotions", "groups"])
def test_sample_faces_are_called_drawn_and_not_people(names):
    data = {"name": SAMPLE_NAME, "content_hash": "fedcba9876543210", "split": "leak-free", "seed": 0}
    text = render_model_card("m", _full_card(data=data, class_names=names, positive_classes=names[-1:]))
    section = _section(text, "Training data and its known issues")
    assert "The faces are drawn by code. They show nobody" in section
    assert "issues of this data set were not looked into" not in text
    assert "a person felt" not in text
    assert "drawn faces" in text.splitlines()[2]


def test_sample_faces_are_known_by_the_name_that_they_have():
    assert load_dataset("sample").name == SAMPLE_NAME


@pytest.mark.parametrize(
    ("archive", "content_hash"), [("fer2013_faces.zip", FER2013), ("kaggle_depression.zip", KAGGLE)]
)
def test_known_data_are_known_by_their_content(archive, content_hash, real_data_dir):
    assert load_dataset(str(real_data_dir / archive)).content_hash == content_hash
    assert content_hash in KNOWN_DATA


def test_two_group_model_names_no_emotions():
    text = render_model_card("m", _article_card())
    assert "It knows no emotions." in text
    assert "right emotion" not in text
    assert not re.search(r"P\(depressed\) is the sum", text)


# The words


def test_card_says_that_an_expression_is_not_a_diagnosis_before_anything_else(card):
    first = render_model_card("my-model", card).splitlines()[2]
    assert first.startswith("> An expression is not a diagnosis.")
    assert "cannot tell who lives with depression" in first


def test_card_names_what_it_is_not_for_and_where_help_is(card):
    text = render_model_card("my-model", card)
    misuse = _section(text, "Out of scope and misuse")
    assert all(
        word in misuse for word in ("diagnosis", "employees", "applicants", "pupils", "students", "Art. 5(1)(f)")
    )
    assert "helpline" in _section(text, "Ethical considerations")
    assert not re.search(r"\b(detects?|diagnoses|suffer\w*|victims?|depressed (people|person|patients?))\b", text)


def test_scores_on_training_pictures_are_called_memory():
    caveats = _section(render_model_card("m", _full_card()), "Caveats and recommendations")
    assert "Pictures of fer2013\\_faces.zip, test that are identical to a training picture: 17." in caveats
    assert "Pictures of kaggle\\_depression.zip, all that are identical to a training picture: 13." in caveats
    assert "memory" not in _section(render_model_card("m", _committed_card()), "Caveats and recommendations")


def test_score_is_compared_with_always_answering_the_larger_group():
    card = _article_card()
    card["scores"]["test"] |= {"accuracy": 0.72, "majority_baseline": {"name": "depressed", "share": 0.72}}
    text = render_model_card("m", card)
    assert "it is not shown to do better than always answering “depressed”" in text
    assert "| 72.0 % | 72.0 % (depressed) |" in text


def test_score_that_always_non_depressed_would_get_too_is_named():
    words = "it is not shown to do better than always answering “non-depressed”"
    assert words in render_model_card("m", _article_card())
    assert words not in render_model_card("m", _full_card())
    card = _full_card()
    card["scores"]["test"]["intervals"]["accuracy"][0] = 0.64
    assert f"On fer2013\\_faces.zip, test, {words}." in render_model_card("m", card)


def test_stopped_and_diverged_trainings_say_so():
    text = render_model_card("m", _full_card())
    assert "The training was stopped early." in text
    assert "its loss was no longer a number" in text
    assert "stopped early" not in render_model_card("m", _committed_card())


# Text from the card is text


HOSTILE = (
    "a|b <script>alert(1)</script> **bold** `code` [link](http://evil.example) $x$ :red[y] www.evil.example\n# head"
)


@pytest.fixture
def hostile_card() -> dict:
    card = _full_card(command=f"python -m facedep {HOSTILE}")
    card["data"] |= {"name": HOSTILE, "content_hash": HOSTILE, "protocol": HOSTILE}
    card["training"] |= {"teacher": HOSTILE, "refit_of": HOSTILE}
    card["calibration"] |= {"run": HOSTILE, "chosen_on": HOSTILE}
    card["evaluations"][0] |= {"data": HOSTILE, "protocol": HOSTILE, "subset": HOSTILE}
    card["scores"]["test"]["per_emotion"][HOSTILE] = card["scores"]["test"]["per_emotion"]["happy"]
    card["versions"][HOSTILE] = HOSTILE
    card["class_names"] = card["positive_classes"] = [HOSTILE]
    return card


def test_names_cannot_break_tables_headings_or_lines(hostile_card):
    text = render_model_card(HOSTILE, hostile_card)
    assert re.findall(r"^#+ (.+)$", text, re.MULTILINE)[1:] == SECTIONS
    sound = [[len(row) for row in table] for table in _tables(render_model_card("m", _full_card()))]
    hostile = _tables(text)
    assert len(hostile) == len(sound)
    for table in hostile:
        assert {len(row) for row in table} == {len(table[0])}


def test_names_show_as_themselves_when_rendered(hostile_card):
    markdown_it = pytest.importorskip("markdown_it")  # comes with Keras, by way of rich
    renderer = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table")
    sound = renderer.render(render_model_card("m", _full_card()))
    hostile = renderer.render(render_model_card(HOSTILE, hostile_card))
    assert set(re.findall(r"<(\w+)", hostile)) <= set(re.findall(r"<(\w+)", sound))
    assert hostile.count("<strong>") == sound.count("<strong>")
    shown = "a|b &lt;script&gt;alert(1)&lt;/script&gt; **bold** `code` [link](http://evil.example) $x$ :red[y] www.evil"
    assert shown in hostile.split("</h1>")[0]
    assert sum(shown in cell for cell in re.findall(r"<td>(.*?)</td>", hostile)) >= 5


def test_formulas_links_and_streamlits_directives_are_escaped(hostile_card):
    text = _without_command(render_model_card(HOSTILE, hostile_card))
    for mark in ("$", "`", "[", "**bold", ":red", "://"):
        assert not re.search(r"(?<!\\)" + re.escape(mark), text), mark
    assert not re.search(r"www\.", text)
    assert "<" not in text


def test_control_characters_and_long_texts_are_cut():
    data = {"name": "a\x00\u202eb\x1b[31m" + "c" * 1000}
    line = render_model_card("m", _article_card(data=data)).split("- Data set: ")[1].splitlines()[0]
    assert line.startswith("a b \\[31mccc")
    assert len(line) < 310


# Layers


def test_rendering_needs_neither_keras_nor_streamlit():
    code = (
        "import sys, facedep.reporting.model_card;"
        "sys.exit(' '.join({'keras', 'tensorflow', 'streamlit', 'plotly', 'sklearn'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_every_recipe_renders():
    for recipe in RECIPES:
        assert RECIPES[recipe].title in render_model_card("m", _article_card(recipe=recipe))
