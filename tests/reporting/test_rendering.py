"""Templates: text from elsewhere shows as itself, whatever a template does with it."""

import os
import subprocess
import sys

import jinja2
import pytest

from facedep.paths import PROJECT_DIR
from facedep.reporting import rendering
from facedep.reporting.rendering import clean_line, escape_markdown, read_asset

TEMPLATES_DIR = PROJECT_DIR / "facedep" / "reporting" / "templates"
HOSTILE = "a|b <b>x</b> **bold** `code` [link](http://evil.example) $x$ :red[y] www.evil.example\n# head\n- item"


def render_markdown_text(template: str, **values) -> str:
    return rendering._build_markdown_environment().from_string(template).render(values)


def render_html_text(template: str, **values) -> str:
    environment = rendering._build_html_environment()
    environment = environment.overlay(loader=jinja2.DictLoader({"page.html.j2": template}))
    return environment.get_template("page.html.j2").render(values)


def test_escaped_markdown_is_one_line_in_which_every_mark_is_a_letter():
    escaped = escape_markdown(HOSTILE)
    assert escaped == (
        "a\\|b &lt;b&gt;x&lt;/b&gt; \\*\\*bold\\*\\* \\`code\\` \\[link\\](http\\://evil.example) \\$x\\$ \\:red\\[y\\]"
        " www\\.evil.example # head - item"
    )
    assert clean_line("a\x00\u202eb\x1b\n\tc  d") == "a b c d"


@pytest.mark.parametrize(
    "template",
    ["- {{ text }}", "- {{ text|escape_markdown }}", "- {{ [text]|join_names }}", "- {% set other = text %}{{ other }}",
     "{% macro write(words) %}- {{ words }}{% endmacro %}{{ write(text) }}"],
)  # fmt: skip
def test_a_markdown_template_escapes_every_value_once(template):
    assert render_markdown_text(template, text=HOSTILE) == f"- {escape_markdown(HOSTILE)}"


def test_names_are_joined_as_in_a_sentence():
    template = "{{ names|join_names }}"
    texts = [render_markdown_text(template, names=["sad", "a_b", "calm"][:number]) for number in range(4)]
    assert texts == ["", "sad", "sad and a\\_b", "sad, a\\_b and calm"]


def test_a_line_of_code_stays_one_line_and_is_not_escaped():
    assert render_markdown_text("    {{ text|code_line }}", text="run *.png\n# head") == "    run *.png # head"


def test_an_html_template_escapes_every_value_and_knows_bold_and_italic_only():
    assert render_html_text("<p>{{ text }}</p>", text="<b>&'\"") == "<p>&lt;b&gt;&amp;&#39;&#34;</p>"
    text = "**<i>81</i>** of 100 are *sad*"
    assert render_html_text("{{ text|emphasis }}", text=text) == (
        "<strong>&lt;i&gt;81&lt;/i&gt;</strong> of 100 are <em>sad</em>"
    )


@pytest.mark.parametrize("render", [render_html_text, render_markdown_text])
def test_a_name_that_nobody_gave_is_an_error_and_not_an_empty_place(render):
    with pytest.raises(jinja2.UndefinedError, match="nobody"):
        render("{{ nobody }}")


def test_every_template_has_an_ending_that_says_how_it_is_escaped():
    names = {path.name for path in TEMPLATES_DIR.iterdir()}
    assert {"report.html.j2", "model_card.md.j2", "report.css", "report.js"} <= names
    assert all(name.endswith((".html.j2", ".md.j2", ".css", ".js")) for name in names)


def test_the_digest_of_a_script_does_not_depend_on_the_line_ends_of_a_checkout(monkeypatch):
    environment = jinja2.Environment(loader=jinja2.DictLoader({"a.js": "first;\r\nsecond;\r\n"}))
    monkeypatch.setattr(rendering, "_build_html_environment", lambda: environment)
    assert read_asset("a.js") == "first;\nsecond;\n"


def test_templates_are_found_from_any_folder(tmp_path):
    code = "from facedep.reporting.rendering import read_asset; print(len(read_asset('report.css')))"
    environment = {**os.environ, "PYTHONPATH": str(PROJECT_DIR)}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert int(result.stdout) > 1000
