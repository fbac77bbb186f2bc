"""TensorFlow and the default model, loaded in the background so that the Predict page is quick."""

import logging
import threading

import numpy as np
import streamlit as st

from facedep.app import streamlit_internals
from facedep.errors import FacedepError
from facedep.runs import run_folder

WARM_UP_DELAY_SECONDS = 2.0
_logger = logging.getLogger(__name__)


class WarmUp:
    """Imports TensorFlow and loads the default model in the background, once per server.

    Attributes:
        is_ready: Whether that is done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = False
        self.is_ready = False

    def start_soon(self) -> None:
        """Starts about two seconds from now, when the first page has been drawn."""
        threading.Timer(WARM_UP_DELAY_SECONDS, self.start).start()

    def start(self) -> None:
        """Starts at once; later calls do nothing."""
        with self._lock:
            if self._started:
                return
            self._started = True
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            streamlit_internals.keep_keras_session()
            from facedep.networks.classifier import load_classifier

            classifier = load_classifier(run_folder.find_run_dir(run_folder.find_default_model()))
            size = classifier.input_size_px
            classifier.predict(np.zeros((1, size, size, 1), np.uint8))
        except FacedepError:  # without a usable model nothing is left to warm up; the page says what is wrong
            _logger.info("There is no usable model to warm up")
        finally:
            self.is_ready = True


@st.cache_resource(show_spinner=False)
def find_warm_up() -> WarmUp:
    """Returns the server's warm-up; the first call starts it soon."""
    warm_up = WarmUp()
    warm_up.start_soon()
    return warm_up


def wait_for_warm_up() -> None:
    """Shows "the model is loading" and ends the page there until TensorFlow is in the process."""
    warm_up = find_warm_up()
    if warm_up.is_ready:
        return
    warm_up.start()

    @st.fragment(run_every=0.5)
    def show() -> None:
        if warm_up.is_ready:
            st.rerun()
        st.info("The model is loading. This happens once, and takes a few seconds.", icon=":material/hourglass_top:")

    show()
    st.stop()
