"""The visitor's camera: one snapshot at a time, or a picture every few seconds with free hands.

Streamlit's own camera widget takes snapshots. The live one is a component of our own in the same page, without another
server: it hands over a small JPEG, waits until its prediction is shown, and hands over the next one.
"""

import base64
import binascii
import io
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import streamlit as st

LIVE_INTERVAL_SECONDS = 1.5
_LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
_PROBLEMS = {
    "insecure": "The browser gives no page under this address a camera: open the app as http://localhost instead.",
    "NotAllowedError": (
        "The browser was told not to let this page use the camera. Click the camera sign beside the address to allow "
        "it, then switch the camera off and on here."
    ),
    "NotFoundError": "This computer has no camera that the browser can see.",
    "NotReadableError": "Another program is using the camera. Close it, then switch the camera off and on here.",
}
_HTML = "<video muted playsinline aria-label='What your camera sees'></video><canvas hidden></canvas>"
_CSS = """
video { width: 100%; aspect-ratio: 4 / 3; object-fit: cover; transform: scaleX(-1); border-radius: 10px;
        background: var(--st-secondary-background-color); }
"""
_JS = """
const cameras = new WeakMap();

export default function({ data, setStateValue, setTriggerValue, parentElement }) {
    const known = cameras.get(parentElement);
    if (known) {
        known.shown = data.shown;
        return known.close;
    }
    const video = parentElement.querySelector('video');
    const canvas = parentElement.querySelector('canvas');
    const camera = { shown: data.shown, sent: data.shown, sentAt: 0, stream: null, timer: 0, closed: false };
    cameras.set(parentElement, camera);

    function send() {
        const isWaiting = camera.sent !== camera.shown && performance.now() - camera.sentAt < 8000;
        if (document.hidden || isWaiting || video.readyState < 2 || !video.videoWidth) return;
        canvas.width = 640;
        canvas.height = Math.round(640 * video.videoHeight / video.videoWidth);
        canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
        camera.sent = Math.max(camera.sent, camera.shown) + 1;
        camera.sentAt = performance.now();
        setTriggerValue('frame', { number: camera.sent, picture: canvas.toDataURL('image/jpeg', 0.9) });
    }

    async function open() {
        if (!navigator.mediaDevices) return setStateValue('problem', 'insecure');
        try {
            const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'user' };
            camera.stream = await navigator.mediaDevices.getUserMedia({ video: wanted });
        } catch (error) {
            return setStateValue('problem', error.name);
        }
        if (camera.closed) return camera.stream.getTracks().forEach((track) => track.stop());
        video.srcObject = camera.stream;
        await video.play();
        send();
        camera.timer = setInterval(send, data.interval_ms);
    }

    camera.close = () => {
        camera.closed = true;
        clearInterval(camera.timer);
        if (camera.stream) camera.stream.getTracks().forEach((track) => track.stop());
        cameras.delete(parentElement);
    };
    open();
    return camera.close;
}
"""


@st.cache_resource(show_spinner=False)
def _find_live_camera() -> Any:
    """Returns the component, registered once in a server's life."""
    return st.components.v2.component("live_camera", html=_HTML, css=_CSS, js=_JS)


def is_camera_allowed(address: str | None) -> bool:
    """Returns whether browsers give a page under this address a camera: only on this computer, or through https.

    Args:
        address: The page's address; None if it is unknown.
    """
    if not address:
        return True
    parts = urlsplit(address)
    return parts.scheme == "https" or parts.hostname in _LOCAL_NAMES


def show_camera_words() -> bool:
    """Says so if the page's address allows no camera; returns whether it allows one."""
    if is_camera_allowed(st.context.url):
        return True
    st.warning(
        "Browsers give a camera only to pages on this very computer (http://localhost) or under https, and this page "
        "has another address. Files and drawn examples work here too.",
        icon=":material/no_photography:",
    )
    return False


def take_snapshot(*, key: str) -> io.BytesIO | None:
    """Shows the camera with its button and returns the last snapshot as an uploaded file, or None before the first.

    Args:
        key: The widget's key.
    """
    snapshot = st.camera_input("Look into the camera", key=key, resolution="480p", width=480)
    if snapshot is None:
        st.caption(
            "No picture here? The browser may have been told not to allow the camera (look for a camera sign beside "
            "the address), or there is none: this page cannot tell the two apart. Files and drawn examples always work."
        )
    return snapshot


def watch_camera(*, key: str, show_frame: Callable[[bytes, int], None]) -> None:
    """Shows the live camera and calls `show_frame` with a JPEG and its number for each picture that it hands over.

    To be called within a fragment, which then runs again for each picture. `show_frame` may draw; the camera is above
    what it draws.

    Args:
        key: The widget's key.
        show_frame: Called with the newest picture and its number; with the same ones again if something else made the
            fragment run.
    """
    container = st.container()
    frame = _read_frame(st.session_state.get(key))
    if frame:
        st.session_state[f"{key}_last"] = frame
    number, content = st.session_state.get(f"{key}_last", (0, b""))
    if content:
        show_frame(content, number)
    # Mounted only now: the number tells the camera that it may hand over the next picture.
    data = {"shown": number, "interval_ms": round(1000 * LIVE_INTERVAL_SECONDS)}
    with container:
        result = _find_live_camera()(
            data=data, key=key, on_frame_change=lambda: None, on_problem_change=lambda: None, default={"problem": None}
        )
    if result.problem:
        st.warning(
            _PROBLEMS.get(result.problem, f"The camera could not be opened ({result.problem})."),
            icon=":material/no_photography:",
        )


def forget_frames() -> None:
    """Forgets the live camera's last picture, so that it is not predicted again when the camera comes back."""
    for name in [name for name in st.session_state if isinstance(name, str) and name.startswith("live_")]:
        if name.endswith("_last"):
            del st.session_state[name]


def _read_frame(state: Any) -> tuple[int, bytes] | None:
    """Returns what the component has just handed over: its number and the JPEG."""
    frame = state.get("frame") if state else None
    if not frame:
        return None
    try:
        return int(frame["number"]), base64.b64decode(frame["picture"].partition(",")[2], validate=True)
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        return None
