"""What every page has: title, notice and tabs, error cards, charts without a toolbar."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from facedep.app import streamlit_internals, visit
from facedep.errors import FacedepError
from facedep.notices import HELP_LINE, NOTICE
from facedep.paths import PROJECT_DIR

if TYPE_CHECKING:
    from facedep.reporting.plots.theme import Figure

ICON_PATH = str(Path(__file__).with_name("icon.png"))  # Streamlit's own icons are fetched from another server
CHART_CONFIG = {"displayModeBar": False}  # Plotly's toolbar hides titles on small screens


def start_page(title: str) -> None:
    """Shows a page's title and the notice. Every page but the first starts with it.

    Args:
        title: The title.
    """
    streamlit_internals.ensure_navigation(PROJECT_DIR / "pages")
    streamlit_internals.keep_uploads_off_disk()
    visit.current_source()
    st.title(title)
    show_notice()


def show_notice() -> None:
    """Shows the one calm line that is on every page."""
    st.caption(NOTICE)


def show_help_line() -> None:
    """Shows where to find somebody to talk to: under every prediction, and the same for each."""
    st.caption(HELP_LINE)


def show_chart(figure: "Figure", *, key: str) -> None:
    """Shows a Plotly figure without its toolbar.

    Args:
        figure: The figure.
        key: The chart's key.
    """
    st.plotly_chart(figure, key=key, config=CHART_CONFIG)


@contextmanager
def show_errors(*, ends_page: bool = True) -> Iterator[None]:
    """Shows an error that the visitor can put right as a card; everything else surfaces.

    Args:
        ends_page: Whether the page ends there, because the rest of it depends on what failed; False for a refused
            action.
    """
    try:
        yield
    except FacedepError as error:
        st.error(str(error), icon=":material/error:")
        if ends_page:
            st.stop()


@contextmanager
def open_tab(titles: Sequence[str], *, key: str) -> Iterator[str]:
    """Shows tabs and gives the title of the open one, the only one that is drawn.

    Args:
        titles: The tabs' titles.
        key: The session key that holds the open tab's title.
    """
    tabs = st.tabs(list(titles), key=key, on_change="rerun")
    number = next(i for i, tab in enumerate(tabs) if tab.open)
    with tabs[number], show_errors():
        yield titles[number]
