"""A Kaggle on this computer, for tests: `kagglehub`, unpatched, talks to it and meets whatever failure is asked for.

The server is the proxy of a client that believes Kaggle to be at http://localhost (`KAGGLE_API_ENVIRONMENT=LOCALHOST`).
"""

import base64
import contextlib
import hashlib
import io
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

SPLITS = ("train", "val", "test")
FOLDER_NAMES = ("Angry", "Fear", "Happy", "Neutral", "Sad", "Surprize")

# Besides these, a scenario may be a status code, answered to every request: "401", "404", "500", ...
SCENARIOS = (
    "ok",
    "hang",  # the connection is accepted, and no answer ever comes
    "stall",  # half of the archive, then nothing
    "slow",  # the archive arrives at `bytes_per_second`
    "cut_known",  # the connection ends after half of the promised length
    "cut_unknown",  # the same, where no length was promised
    "not_a_zip",
    "damaged_member",
    "no_files",
    "wrong_checksum",
    "login_page",  # the network's own page in place of Kaggle's answer
)


def build_kaggle_zip(num_images: int = 2, *, size_px: int = 8) -> bytes:
    """Returns a zip of noise pictures, laid out like the Kaggle set: `num_images` in each folder of each split."""
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for split in SPLITS:
            for folder_name in FOLDER_NAMES:
                for number in range(num_images):
                    picture = io.BytesIO()
                    Image.fromarray(rng.integers(0, 256, (size_px, size_px), dtype=np.uint8)).save(picture, "png")
                    archive.writestr(f"Depression Data/data/{split}/{folder_name}/{number}.png", picture.getvalue())
    return buffer.getvalue()


class KaggleServer:
    """A running server, to be used in a `with`; `scenario` may be changed between requests.

    Attributes:
        scenario: One of `SCENARIOS`, or a status code in digits.
        version: The data set's current version number.
        bytes_per_second: The speed of the scenario "slow".
        requests: What was asked for so far: "GetDataset", "DownloadDataset" or "archive".
    """

    def __init__(self, archive: bytes, *, scenario: str = "ok", version: int = 1, bytes_per_second: int = 200_000):
        self.archive = archive
        self.scenario = scenario
        self.version = version
        self.bytes_per_second = bytes_per_second
        self.requests: list[str] = []
        self.is_closing = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"kaggle": self}))
        self._http.daemon_threads = True
        self._http.block_on_close = False
        self.port = self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> "KaggleServer":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Ends the server and every connection; its port then refuses connections, as with no network."""
        if not self.is_closing.is_set():
            self.is_closing.set()
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()


def kaggle_environment(folder: Path, port: int) -> dict[str, str]:
    """Returns the variables that lead a process to the server at `port`, and all that it writes into `folder`."""
    proxy = f"http://127.0.0.1:{port}"
    paths = {"KAGGLEHUB_CACHE": "kagglehub", "KAGGLE_CONFIG_DIR": "kaggle_config", "FACEDEP_CACHE_DIR": "facedep_cache"}
    return {
        "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
        **dict.fromkeys(("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"), proxy),  # nothing leaves by https
        **dict.fromkeys(("NO_PROXY", "no_proxy", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN"), ""),
        **dict.fromkeys(("HOME", "USERPROFILE"), str(folder)),
        **{name: str(folder / subfolder) for name, subfolder in paths.items()},
    }


class _Handler(BaseHTTPRequestHandler):
    kaggle: KaggleServer

    def log_message(self, *_) -> None:
        pass

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        method = urlsplit(self.path).path.rpartition("/")[2]
        self.kaggle.requests.append(method)
        if self._fails_at_once():
            return
        if method == "GetDataset":
            answer = {"currentVersionNumber": self.kaggle.version}
            self._send(200, json.dumps(answer).encode(), {"Content-Type": "application/json"})
        else:
            self._send(302, b"", {"Location": "http://localhost/storage/archive.zip"})

    def do_GET(self) -> None:
        self.kaggle.requests.append("archive")
        if self._fails_at_once():
            return
        archive, scenario = self.kaggle.archive, self.kaggle.scenario
        half = len(archive) // 2
        if scenario == "not_a_zip":
            archive = b"<html>Sorry</html>" * 100
        elif scenario == "no_files":
            archive = b"PK\x05\x06" + bytes(18)  # a zip's end, with nothing before it
        elif scenario == "damaged_member":
            archive = (
                archive[:half] + bytes(200) + archive[half + 200 :]
            )  # the list of members, at the end, stays whole
        content = b"something else" if scenario == "wrong_checksum" else archive
        checksum = base64.b64encode(hashlib.md5(content).digest()).decode()
        headers = {"Accept-Ranges": "bytes", "x-goog-hash": f"md5={checksum}", "Content-Type": "application/zip"}
        if scenario == "cut_unknown":
            self._send(200, archive[:half], {"Content-Type": "application/zip"}, num_bytes=None)
        elif scenario in ("cut_known", "stall"):
            self._send(200, archive[:half], headers, num_bytes=len(archive))
            if scenario == "stall":
                self.kaggle.is_closing.wait()
        elif scenario == "slow":
            self._send(200, b"", headers, num_bytes=len(archive))
            step = max(1, self.kaggle.bytes_per_second // 20)
            for start in range(0, len(archive), step):
                if self.kaggle.is_closing.wait(0.05):
                    return
                self.wfile.write(archive[start : start + step])
        else:
            self._send(200, archive, headers)

    def handle_one_request(self) -> None:
        with contextlib.suppress(ConnectionError):  # the client was ended
            super().handle_one_request()

    def _fails_at_once(self) -> bool:
        scenario = self.kaggle.scenario
        if scenario == "hang":
            self.kaggle.is_closing.wait()
        elif scenario == "login_page":
            self._send(200, b"<html>Welcome to our Wi-Fi</html>", {"Content-Type": "text/html"})
        elif scenario.isdecimal():
            self._send(int(scenario), b'{"message": "no"}', {"Content-Type": "application/json"})
        return scenario in ("hang", "login_page") or scenario.isdecimal()

    def _send(self, status: int, body: bytes, headers: dict[str, str], *, num_bytes: int | None = -1) -> None:
        self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if num_bytes is not None:
            self.send_header("Content-Length", str(len(body) if num_bytes < 0 else num_bytes))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
