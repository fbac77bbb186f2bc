"""Text out of the templates beside this file, in which text from elsewhere always shows as itself.

In HTML every value is escaped for HTML, in Markdown for Markdown: a template has nothing to remember, and forgetting
something makes no hole. What this project wrote as markup itself is passed as `Markup`.
"""

import html
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

_STRONG, _EMPHASIS = re.compile(r"\*\*(.+?)\*\*"), re.compile(r"\*(.+?)\*")


def render_html(template: str, **values: Any) -> str:
    """Returns a page.

    Args:
        template: Its name; it ends in ".html.j2".
        values: What the template speaks of; escaped, but for `Markup`.
    """
    return _build_html_environment().get_template(template).render(values)


def render_markdown(template: str, **values: Any) -> str:
    """Returns a Markdown text.

    Args:
        template: Its name; it ends in ".md.j2".
        values: What the template speaks of; escaped by `escape_markdown`, but for `Markup`.
    """
    return _build_markdown_environment().get_template(template).render(values)


def read_asset(name: str) -> str:
    """Returns a style sheet or script that lies with the templates, as it is.

    Args:
        name: Of the file.
    """
    environment = _build_html_environment()
    loader = environment.loader
    if loader is None:
        raise ValueError("the templates' environment has no loader")
    source = loader.get_source(environment, name)[0]
    return source.replace("\r\n", "\n")  # as browsers read it, so that a script's digest holds in any checkout


def escape_markdown(text: str) -> Markup:
    """Returns a text as one line of Markdown that shows as the text itself.

    No markup, table cell, link, formula or Streamlit directive comes of it. It can be put anywhere but at the start of
    a line or into code.

    Args:
        text: Any text.
    """
    escaped = html.escape(re.sub(r"([\\`*_\[\]|~$:@^])", r"\\\1", clean_line(text)), quote=False)
    return Markup(re.sub(r"(?i)\b(www)\.", r"\1\\.", escaped))


def clean_line(text: str) -> str:
    """Returns a text as one line without control characters, each run of spaces one space.

    Args:
        text: Any text.
    """
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


@cache
def _build_html_environment() -> Environment:
    environment = _build_environment(autoescape=select_autoescape(enabled_extensions=("html.j2",)))
    environment.filters["emphasis"] = _render_emphasis
    return environment


@cache
def _build_markdown_environment() -> Environment:
    # Jinja escapes for HTML only, so each value is escaped before, and Jinja leaves what is `Markup` by then.
    environment = _build_environment(autoescape=True, finalize=_escape_value)
    environment.filters |= {
        "escape_markdown": escape_markdown,
        "count": _count,
        "join_names": _join_names,
        "code_line": _write_code_line,
    }
    return environment


def _build_environment(**options: Any) -> Environment:
    return Environment(
        loader=PackageLoader(__package__, "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )


def _escape_value(value: Any) -> Any:
    return value if hasattr(value, "__html__") else escape_markdown(str(value))


def _render_emphasis(text: str) -> Markup:
    """Returns a sentence of `sentences`, whose only Markdown is bold and italic, as HTML."""
    escaped = html.escape(text, quote=True)
    return Markup(_EMPHASIS.sub(r"<em>\1</em>", _STRONG.sub(r"<strong>\1</strong>", escaped)))


def _count(number: float) -> str:
    return f"{number:,.0f}"


def _join_names(names: Sequence[str]) -> Markup:
    """Returns names as "one, another and a third"; each is escaped."""
    escaped = [escape_markdown(name) for name in names]
    return Markup(f"{', '.join(escaped[:-1])} and {escaped[-1]}" if len(escaped) > 1 else "".join(escaped))


def _write_code_line(text: str) -> Markup:
    """Returns a text for a line of a code block, in which nothing means anything; it cannot leave that line."""
    return Markup(clean_line(text))
