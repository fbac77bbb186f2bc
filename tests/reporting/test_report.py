"""The report: one file that says what the scores say, loads nothing, and lets no name become markup."""

import base64
import dataclasses
import hashlib
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from contextlib import redirect_stdout
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from plotly.offline import get_plotlyjs

from facedep.cli import evaluate
from facedep.cli.main import main
from facedep.data import sample_faces
from facedep.data.eval_subset import EvalSubset
from facedep.data.scan import scan_dataset
from facedep.data.sources import Dataset, load_dataset
from facedep.data.splits import PUBLISHED
from facedep.errors import DataError, ModelError
from facedep.evaluation.evaluation import evaluate_run, read_evaluation
from facedep.evaluation.robustness import CORRUPTIONS, read_robustness
from facedep.inference.prediction_cache import (
    DatasetPredictions,
    find_predictions_path,
    save_predictions_beside,
    write_predictions,
)
from facedep.networks.card import CARD_FILE, FINGERPRINTS_FILE, MODEL_FILE, read_card
from facedep.networks.card_scores import RecordedEvaluation, Scores
from facedep.networks.decision_threshold import write_threshold
from facedep.notices import NOTICE
from facedep.paths import PROJECT_DIR
from facedep.reporting import sentences
from facedep.reporting.model_card import render_model_card
from facedep.reporting.report import build_report, check_report_path, write_report
from facedep.runs import run_folder

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


EVERYTHING = EvalSubset(subset="all")


class Page(HTMLParser):
    """What a browser makes of a report: its tags, its words, and its scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "br"):
            self._open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts[-1] += data
        elif self._open and self._open[-1] != "style":
            self._words.append(data)

    @property
    def text(self) -> str:
        """All words, each run of spaces one space."""
        return " ".join("".join(self._words).split())

    @property
    def charts(self) -> list[dict]:
        """The figures that are to be drawn."""
        return json.loads(self.scripts[1])

    @property
    def num_places(self) -> int:
        """The places for figures."""
        return sum(attributes.get("class") == "plot" for _, attributes in self.tags)


def _strip(markdown: str) -> str:
    return markdown.replace("*", "")


# The shipped model, asked by the command line


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A report of the shipped model on 35 drawn faces, with robustness, made by the command line."""
    folder = tmp_path_factory.mktemp("made")
    for emotion in sample_faces.SAMPLE_EMOTIONS:
        (folder / "drawn" / emotion).mkdir(parents=True)
        for number in range(5):
            face = Image.fromarray(sample_faces.draw_sample_face(emotion, number))
            face.save(folder / "drawn" / emotion / f"{number}.png")
    choice = ["--data", str(folder / "drawn"), "--subset", "all"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FACEDEP_CACHE_DIR", str(folder / "cache"))
        patch.setenv("FACEDEP_MODELS_DIR", str(folder / "models"))
        shutil.copytree(PROJECT_DIR / "models" / run_folder.SHIPPED_RUN, folder / "models" / run_folder.SHIPPED_RUN)
        with redirect_stdout(io.StringIO()) as output:
            assert main(["robustness", *choice]) == 0
            (folder / "report.html").write_text("an older report")
            assert main(["evaluate", *choice, "--report", str(folder / "report.html")]) == 0
        run_dir = run_folder.find_run_dir(run_folder.SHIPPED_RUN)
        drawn = load_dataset(str(folder / "drawn"))
        scores = evaluate_run(run_dir, drawn, EVERYTHING).scores
        robustness = read_robustness(run_dir, drawn, scan_dataset(drawn).is_readable)
        card_text = render_model_card(run_dir.name, read_card(run_dir).to_json())
    made = {"folder": folder, "scores": scores, "robustness": robustness, "card_text": card_text}
    return {**made, "output": output.getvalue()}


@pytest.fixture(scope="module")
def page(made) -> Page:
    return Page((made["folder"] / "report.html").read_text("utf-8"))


def test_command_writes_the_report_and_the_model_card_and_says_both_paths(made):
    folder = made["folder"]
    assert f"report: {folder / 'report.html'}" in made["output"]
    assert f"model card: {folder / 'report.md'}" in made["output"]
    assert (folder / "report.md").read_text("utf-8") == made["card_text"]
    assert sorted(path.name for path in folder.iterdir()) == ["cache", "drawn", "models", "report.html", "report.md"]


def test_report_says_the_sentences_and_numbers_of_the_evaluation(made, page):
    scores = made["scores"]
    assert _strip(sentences.describe_accuracy(RecordedEvaluation.from_json(scores))) in page.text
    assert _strip(sentences.describe_coverage(Scores.from_json(scores))) in page.text
    low, high = scores["intervals"]["roc_auc"]
    for words in (
        f"{scores['accuracy']:.1%}",
        f"{scores['majority_baseline']['share']:.1%}",
        f"{scores['roc_auc']:.3f}{low:.3f} to {high:.3f}",
        f"{scores['emotion_accuracy']:.1%}",
        f"{scores['num_images']} of drawn",
        NOTICE,
        "No face is shown in this report",
        "Barrett et al. 2019",
    ):
        assert words in page.text
    assert "nan" not in page.text.lower()


def test_report_speaks_of_intervals_as_a_procedure_and_not_of_where_the_score_lies(page):
    """A 95 % interval holds the true score in 95 of 100 repeated tests; of a single one that cannot be said."""
    assert sentences.INTERVAL_TEXT in page.text
    assert not re.search(r"score (lies|is) (between|in|within)", page.text)


def test_report_says_up_to_where_worse_pictures_are_better_answered_than_the_majority_baseline(made, page):
    always, table = made["scores"]["majority_baseline"]["share"], made["robustness"]
    for name, kind in CORRUPTIONS.items():
        curve = table[table["corruption"] == name]
        up_to = "–"
        for strength, low in zip(curve["strength"], curve["low"], strict=True):
            if low <= always:
                break
            up_to = f"{strength:g}"
        last = curve.iloc[-1]
        assert f"{kind.title}{up_to}{last['accuracy']:.1%} at {last['strength']:g}" in page.text


def test_report_shows_every_chart_once(page):
    titles = [chart["layout"]["title"]["text"].partition("<")[0] for chart in page.charts]
    assert titles == [
        "What it says and what the label says", "Which faces it calls “depressed”",
        "How well it separates the groups", "How far to trust its “depressed”", "Is its 70% really 70%?",
        "What it says about either group",
        "Where it is right, and where less so", "Which emotions it mixes up", "Honest against flattering",
        "Every published prediction is inverted", "Blur", "Noise", "Darkness", "Rotation", "Lower resolution",
        "Eyes covered", "Mouth covered",
    ]  # fmt: skip
    assert page.num_places == len(titles)


def test_report_says_how_the_run_was_trained_and_how_to_make_it_again(page):
    card = read_card(PROJECT_DIR / "models" / run_folder.SHIPPED_RUN)
    for command in (*card.earlier_commands, card.command):
        assert command in page.text
    assert f"keras {card.versions['keras']}" in page.text
    choice = f"--model {run_folder.SHIPPED_RUN} --data drawn --protocol leak-free --subset all"
    assert f"python -m facedep evaluate {choice} --report report.html" in page.text
    assert f"python -m facedep robustness {choice}" in page.text


def test_report_is_one_file_that_loads_nothing(made, page):
    text = (made["folder"] / "report.html").read_text("utf-8")
    assert text.count(get_plotlyjs()) == 1
    assert len(page.scripts) == 3
    names = {tag for tag, _ in page.tags}
    assert not names & {"link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "source"}
    for _, attributes in page.tags:
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")
        assert not [name for name in attributes if name.startswith("on")]
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert str(made["folder"]) not in text  # where things lie on this computer is nobody's business


def test_policy_lets_only_the_reports_own_scripts_run(page):
    policy = next(attributes["content"] for _, attributes in page.tags if "http-equiv" in attributes)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    sources = [
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in (page.scripts[0], page.scripts[2])
    ]
    assert rules["script-src"].split() == sources


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_report_opens_offline_and_every_chart_is_drawn_and_fits(width, made, page):
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements-dev.txt)")
    from browser_tools import open_browser

    with open_browser() as browser:
        context = browser.new_context(viewport={"width": width, "height": 900})
        context.set_offline(True)
        tab = context.new_page()
        said, asked = [], []
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        address = (made["folder"] / "report.html").as_uri()
        tab.goto(address)
        tab.wait_for_function(f"document.querySelectorAll('.js-plotly-plot .main-svg').length >= {len(page.charts)}")
        assert tab.locator(".js-plotly-plot").count() == len(page.charts)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        measure = """() => [...document.querySelectorAll('.plot')].filter(place => {
            const edges = place.getBoundingClientRect();
            const words = [...place.querySelectorAll('text')].map(text => text.getBoundingClientRect());
            return words.some(box => box.width && (box.left < edges.left - 1 || box.right > edges.right + 1));
        }).length"""
        assert tab.evaluate(measure) == 0  # charts with words outside of them
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        widths = tab.evaluate(
            "[...document.querySelectorAll('.plot')]"
            ".map(place => [place.clientWidth, place.querySelector('.main-svg').clientWidth])"
        )
        assert all(drawn <= place <= 688 for place, drawn in widths)  # 182 mm: A4 without its margins
        assert (said, asked) == ([], [address])


# Runs without this and that, from answers written by hand


@pytest.fixture
def dataset(tmp_path) -> Dataset:
    """A folder of 12 dark sad faces and 12 bright happy ones."""
    rng = np.random.default_rng(0)
    for folder, brightness in (("Sad", 60), ("Happy", 180)):
        (tmp_path / "faces" / folder).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(brightness, brightness + 60, (48, 48), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "faces" / folder / f"{number:02}.png")
    return load_dataset(str(tmp_path / "faces"))


def _make_run(folder: Path, dataset: Dataset, name: str = "stand-in", *, only_groups: bool = False, **card) -> Path:
    """Makes a run that takes dark pictures for sad or depressed ones, and has answered the whole data set."""
    run_dir = folder / name
    run_dir.mkdir(parents=True)
    (run_dir / MODEL_FILE).write_bytes(b"no network is asked here")
    names, positive = (["depressed"], ["depressed"]) if only_groups else (["happy", "sad"], ["sad"])
    meaning = {"class_names": names, "positive_classes": positive}
    (run_dir / CARD_FILE).write_text(json.dumps({"recipe": "compact", **meaning, **card}), "utf-8")
    _answer(run_dir, dataset, names, positive)
    return run_dir


def _answer(run_dir: Path, dataset: Dataset, names: list[str], positive: list[str]) -> None:
    scan = scan_dataset(dataset)
    is_dark = scan.thumbnails.mean(axis=(1, 2)) < 128
    depressed = np.where(is_dark, 0.8, 0.1).astype(np.float32)
    outputs = depressed[:, np.newaxis] if len(names) == 1 else np.column_stack([1 - depressed, depressed])
    features = np.zeros((len(outputs), 1), np.float16)
    answers = DatasetPredictions(names, positive, outputs, features, scan.is_readable)
    write_predictions(find_predictions_path(run_dir, dataset), answers)


def _build(run_dir: Path, dataset: Dataset, subset: EvalSubset = EVERYTHING) -> Page:
    return Page(build_report(read_evaluation(run_dir, dataset, subset)))


def test_run_without_robustness_says_how_to_measure_it(tmp_path, dataset):
    page = _build(_make_run(tmp_path, dataset), dataset)
    assert "It has not been measured on worse pictures yet." in page.text
    assert len(page.charts) == page.num_places == 10
    assert "too few to say anything" in page.text


def test_run_of_scores_only_has_a_report(tmp_path, dataset):
    run_dir = _make_run(tmp_path, dataset)
    scores = evaluate_run(run_dir, dataset, EVERYTHING).scores
    save_predictions_beside(run_dir, dataset)
    (run_dir / MODEL_FILE).unlink()
    page = _build(run_dir, dataset)
    assert _strip(sentences.describe_accuracy(RecordedEvaluation.from_json(scores))) in page.text
    assert "Only the predictions of this run are here, not its network" in page.text
    assert "facedep robustness" not in page.text


def test_run_that_knows_two_groups_has_no_chart_of_its_emotions(tmp_path, dataset):
    page = _build(_make_run(tmp_path, dataset, only_groups=True), dataset)
    titles = " ".join(chart["layout"]["title"]["text"] for chart in page.charts)
    assert "Which emotions it mixes up" not in titles
    assert "Which faces it calls" in titles
    assert "Right emotion" not in page.text


def test_pictures_of_one_group_have_charts_that_say_so_and_no_number_that_is_none(tmp_path, dataset):
    happy = load_dataset(str(Path(dataset.source) / "Happy"))
    run_dir = _make_run(tmp_path, dataset)
    _answer(run_dir, happy, ["happy", "sad"], ["sad"])
    page = _build(run_dir, happy)
    assert "All of these pictures have the same label" in page.text
    assert page.scripts[1].count("No curve: both groups are needed") == 2
    assert "nan" not in page.text.lower()
    assert "nan" not in page.scripts[1].lower()


def test_pictures_without_emotions_have_a_report(tmp_path, dataset):
    groups = tmp_path / "groups"
    for folder, group in (("Sad", "depressed"), ("Happy", "non_depressed")):
        shutil.copytree(Path(dataset.source) / folder, groups / group)
    pictures = load_dataset(str(groups))
    page = _build(_make_run(tmp_path, pictures), pictures)
    assert "No emotions are named in these pictures" in page.scripts[1]
    assert "is a new name for" not in page.text
    assert len(page.charts) == page.num_places == 9


def test_network_that_answers_nan_has_no_report(tmp_path, dataset):
    run_dir = _make_run(tmp_path, dataset)
    outputs = np.full((24, 2), np.nan, np.float32)
    answers = DatasetPredictions(["happy", "sad"], ["sad"], outputs, np.zeros((24, 1), np.float16), np.ones(24, bool))
    write_predictions(find_predictions_path(run_dir, dataset), answers)
    with pytest.raises(ModelError, match="answers with no number to some of these pictures"):
        build_report(read_evaluation(run_dir, dataset, EVERYTHING))


def test_what_makes_a_score_doubtful_is_said_and_can_be_left_out(tmp_path, dataset):
    run_dir = _make_run(tmp_path, dataset)
    (run_dir / FINGERPRINTS_FILE).write_text("\n".join(scan_dataset(dataset).fingerprints[:5]))
    page = _build(run_dir, dataset)
    assert "It was trained on 5 of these 24 pictures: the score is partly memory." in page.text
    page = _build(run_dir, dataset, EvalSubset(subset="all", excludes_training_images=True))
    assert "without the 5 that it was trained on" in page.text
    assert "--exclude-training-images --report" in page.text
    assert "partly memory" not in page.text


def test_part_and_threshold_in_force_are_said(tmp_path, dataset):
    run_dir = _make_run(tmp_path, dataset)
    write_threshold(run_dir, 0.9)
    page = _build(run_dir, dataset, EvalSubset(PUBLISHED, "val"))
    assert "from P(“depressed”) of 0.90" in page.text
    assert "val part. As published:" in page.text
    scores = evaluate_run(run_dir, dataset, EvalSubset(PUBLISHED, "val")).scores
    assert _strip(sentences.describe_accuracy(RecordedEvaluation.from_json(scores))) in page.text


def test_pictures_that_are_not_answered_yet_give_a_sentence_and_no_network_runs(tmp_path, dataset):
    run_dir = _make_run(tmp_path, dataset)
    find_predictions_path(run_dir, dataset).unlink()
    with pytest.raises(ModelError, match="has not answered these pictures of faces yet"):
        read_evaluation(run_dir, dataset, EVERYTHING)


# Names from outside


@pytest.mark.skipif(os.name == "nt", reason="Windows lets no file be named so")
def test_names_from_outside_stay_words(tmp_path, dataset):
    name = "<!--<script>alert(1)<b>%{x}"  # a folder's name may hold anything but a slash
    card = {
        "command": f"python {HOSTILE}",
        "earlier_commands": [HOSTILE, "3"],
        "data": {"name": HOSTILE, "split": HOSTILE, "num_images": {"train": 1}},
        "training": {"teacher": HOSTILE, "refit_of": HOSTILE, "num_epochs": 1, "kept_epoch": 1, "seconds": 1},
        "versions": {HOSTILE: HOSTILE},
    }
    folder = tmp_path / "<script>alert('data')&amp;"
    shutil.move(dataset.source, folder)
    dataset = load_dataset(str(folder))
    run_dir = _make_run(tmp_path / "models", dataset, name, **card)
    hostile = dataclasses.replace(dataset, name=dataset.name + HOSTILE)
    for data in (dataset, hostile):
        page = _build(run_dir, data)
        assert len(page.scripts) == 3
        assert len(page.charts) == page.num_places == 10
        assert "img" not in {tag for tag, _ in page.tags}
        assert name in page.text
        assert data.name in page.text
        assert page.text.count(HOSTILE) >= 6
        assert not set("<>&\u2028") & set(page.scripts[1])
        curve = next(chart for chart in page.charts if "separates the groups" in chart["layout"]["title"]["text"])
        assert html.unescape(curve["data"][0]["name"]).startswith(name)
        assert "<" not in curve["data"][0]["name"]  # nor would Plotly take it for markup


@pytest.mark.browser
@pytest.mark.skipif(os.name == "nt", reason="Windows lets no file be named so")
def test_names_from_outside_run_nothing_in_a_browser(tmp_path, dataset):
    pytest.importorskip("playwright.sync_api", reason="Playwright is not installed (requirements-dev.txt)")
    from browser_tools import open_browser

    run_dir = _make_run(tmp_path / "models", dataset, "<!--<script>alert(1)", command=HOSTILE)
    hostile = dataclasses.replace(dataset, name=HOSTILE)
    path = tmp_path / "hostile.html"
    write_report(path, build_report(read_evaluation(run_dir, hostile, EVERYTHING)), "")
    with open_browser() as browser:
        tab = browser.new_page()
        said = []
        tab.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(path.as_uri())
        tab.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 10")
        names = " ".join(tab.locator(".js-plotly-plot .legendtext").all_text_contents())
        assert "<!--<script>alert(1): area 1.000" in names
        # A script that got in all the same would not run.
        tab.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'alert(3)'}))")
        assert [words for words in said if "Content Security Policy" not in words] == []


# Files


@pytest.mark.parametrize("name", ["report.md", "report", "report.html/", "report.txt"])
def test_a_name_that_is_none_of_a_report_is_refused(name, tmp_path):
    target = tmp_path / name
    if name.endswith("/"):
        target.mkdir()
    with pytest.raises(DataError, match=r"Give one that ends in \.html|it is a folder"):
        check_report_path(target)
    assert [path for path in tmp_path.iterdir() if path != target] == []


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluate, "evaluate_run", None)
    (tmp_path / "file").write_text("")
    for folder in ("nowhere", "file"):
        assert main(["evaluate", "--report", str(tmp_path / folder / "report.html")]) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert re.match(r"facedep: .*report\.\w+ could not be written \(.*\)\. Choose a folder that exists", output.err)


def test_a_report_that_fails_to_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(path, "old", "old card")
    assert (path.read_text(), path.with_suffix(".md").read_text()) == ("old", "old card")

    def fail(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DataError, match="No space left on device"):
        write_report(path, "new", "new card")
    assert path.read_text() == "old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["report.html", "report.md"]


# What is said in more than one place


def test_colours_are_those_of_the_app(tmp_path, dataset):
    theme = tomllib.loads((PROJECT_DIR / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
    text = build_report(read_evaluation(_make_run(tmp_path, dataset), dataset, EVERYTHING))
    for name, key in (("primary", "primaryColor"), ("soft", "secondaryBackgroundColor"), ("ink", "textColor")):
        assert f"--{name}: {theme[key]}" in text


def test_report_brings_neither_a_network_nor_streamlit():
    heavy = ("keras", "streamlit", "tensorflow")
    code = f"import sys, facedep.reporting.report; sys.exit(any(name in sys.modules for name in {heavy}))"
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
