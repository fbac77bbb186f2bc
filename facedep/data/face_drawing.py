"""Draw one portrait: who it is and how the muscles have moved in, a small picture out. Flat shapes, soft light.

Everything is drawn twice as large with OpenCV's fixed-point shapes and then halved, so that it looks the same on every
machine. `data/sample_faces.py` chooses people and expressions. So long because it is mostly numbers: shapes of faces.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

PORTRAIT_SIZE_PX = 128

BRIGHT_COLORS = np.array(  # clothes and backgrounds
    [
        (236, 198, 108), (226, 124, 96), (122, 176, 168), (64, 98, 138), (232, 226, 214), (156, 130, 178),
        (88, 128, 98), (240, 176, 170), (52, 58, 78), (176, 204, 226), (158, 72, 84), (198, 206, 166),
    ]
)  # fmt: skip

# Outlines in face coordinates (see `_Canvas`). Symmetric ones give their right half.
_HAIR_TOP = [(-1.04, 0), (-1.1, -0.55), (-0.75, -1.2), (0, -1.4), (0.75, -1.2), (1.1, -0.55), (1.04, 0)]
_HAIRLINES = {
    "short": [(0.95, -0.02), (0.86, -0.5), (0.5, -0.78), (0, -0.74), (-0.5, -0.82), (-0.86, -0.5), (-0.95, -0.02)],
    "quiff": [(0.94, 0.04), (0.86, -0.55), (0.62, -0.72), (0, -0.9), (-0.5, -0.98), (-0.87, -0.55), (-0.94, 0.04)],
    "long": [(0.97, 0.4), (0.9, -0.3), (0.6, -0.72), (0.1, -1.02), (-0.4, -0.8), (-0.9, -0.3), (-0.97, 0.4)],
    "bob": [(0.97, 0.5), (0.88, -0.2), (0.6, -0.52), (0.3, -0.98), (-0.4, -0.62), (-0.88, -0.2), (-0.97, 0.5)],
    "fringe": [(0.96, 0.1), (0.84, -0.36), (0.5, -0.5), (0, -0.54)],
    "bun": [(0.96, -0.05), (0.84, -0.6), (0.5, -0.9), (0, -0.98)],
    "curly": [(0.95, -0.05), (0.86, -0.5), (0.5, -0.72), (0, -0.7)],
    "buzz": [(0.98, -0.1), (0.84, -0.6), (0.52, -0.86), (0, -0.84)],
    "beanie": [(1.02, -0.5), (0.7, -0.62), (0.35, -0.66), (0, -0.67)],
    "headscarf": [(0.94, 0.5), (0.9, -0.3), (0.6, -0.74), (0, -0.88)],
}
_BACK_HAIR = {
    "long": [(0, -1.36), (0.7, -1.22), (1.14, -0.6), (1.2, 0.2), (1.24, 0.9), (1.1, 1.7), (0.5, 1.8), (0, 1.8)],
    "bob": [(0, -1.36), (0.7, -1.22), (1.16, -0.6), (1.22, 0.2), (1.18, 0.85), (0.9, 1.02), (0.4, 0.9), (0, 0.9)],
}
_BACK_SCARF = [(0, -1.44), (0.75, -1.24), (1.18, -0.6), (1.22, 0.2), (1.0, 0.95), (1.05, 1.6), (0.5, 2.0), (0, 2.0)]
_BEANIE_BAND = [(1.08, -0.46), (0, -0.64), (-1.08, -0.46), (-1.1, -0.74), (0, -0.92), (1.1, -0.74)]


@dataclass(frozen=True)
class Features:
    """The measures of a face that muscles move, in units of half a face's width; heights count upwards."""

    inner_brow: float = 0.0
    outer_brow: float = 0.0
    brow_gap: float = 0.22
    upper_lid: float = 0.135
    lower_lid: float = 0.08
    cheek: float = 0.0
    nose_wrinkle: float = 0.0
    mouth_width: float = 0.36
    mouth_corner: float = 0.0
    mouth_open: float = 0.0
    mouth_square: float = 0.0
    upper_lip: float = 0.0
    lip_fullness: float = 1.0
    jaw_drop: float = 0.0


@dataclass(frozen=True)
class Person:
    """Who is drawn: what stays the same whatever the expression."""

    skin: np.ndarray
    hair: np.ndarray
    eyes: tuple[int, int, int]
    lips: np.ndarray
    clothes: np.ndarray
    hair_style: str
    beard: str | None
    glasses: bool
    age: float  # 0 (young) to 1 (old)
    width: float
    jaw: float
    chin: float
    eye_distance: float
    eye_size: float
    nose: float
    lip: float
    brow: float
    side: int  # of the parting, -1 or 1
    rest: Features


@cache
def _curve_weights(num_points: int, is_closed: bool) -> np.ndarray:
    """Returns the weights of control points along a Catmull-Rom curve, shape `(6 * segments, points)`."""
    num_segments = num_points if is_closed else num_points - 1
    t = np.arange(0, 1, 1 / 6)
    blend = 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1)
    weights = np.zeros((num_segments, 6, num_points))
    for segment in range(num_segments):
        for offset in range(4):
            point = segment + offset - 1
            point = point % num_points if is_closed else min(max(point, 0), num_points - 1)
            weights[segment, :, point] += blend[:, offset]
    return weights.reshape(-1, num_points)


def _smooth(points) -> np.ndarray:
    """Returns a smooth closed outline through points of shape `(n, 2)`."""
    return _curve_weights(len(points), True) @ np.asarray(points, float)


def _stroke(points) -> np.ndarray:
    """Returns a smooth open curve through points of shape `(n, 2)`, which ends at its last point."""
    points = np.asarray(points, float)
    return np.concatenate([_curve_weights(len(points), False) @ points, points[-1:]])


_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 28, False)), np.sin(np.linspace(0, 2 * np.pi, 28, False))], 1)
_T = np.linspace(-1, 1, 15)  # across an eye or a mouth, corner to corner


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> np.ndarray:
    return _CIRCLE * (radius_x, radius_y) + (x, y)


def _between(x: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Returns the outline of the area between two curves over the same `x`."""
    return np.stack([np.concatenate([x, x[::-1]]), np.concatenate([top, bottom[::-1]])], 1)


def _blob(half) -> np.ndarray:
    """Returns the smooth outline of a symmetric shape, given its right half from top to bottom."""
    half = np.asarray(half, float)
    return _smooth(np.concatenate([half, half[::-1][half[::-1, 0] > 0] * (-1, 1)]))


class _Canvas:
    """A picture at twice its size, drawn in face coordinates: origin between eyes and nose, y down, 1 = half a face.

    Points are rounded to a sixteenth of a pixel and filled in integer arithmetic, which is the same on every machine.
    `depth` is how far a part lies before the middle of the head: it shifts with the head's turn (parallax).
    """

    def __init__(self, image: np.ndarray, rng: np.random.Generator):
        self.image = image
        self.shade = np.full((64, 64), 255, np.uint8)  # soft shadows: multiplied in at the end, blurred
        size = rng.uniform(70, 84)
        roll = rng.normal(0, 0.07)
        turn = np.array((rng.uniform(-0.32, 0.32), rng.uniform(-0.12, 0.12)))
        cos, sin = np.cos(roll), np.sin(roll)
        self._matrix = size * np.array(((cos, sin), (-sin, cos)))
        self._shift = np.array((128 + rng.uniform(-14, 14), 134 + rng.uniform(-12, 9)))
        self._turn = turn @ self._matrix
        self.size = size

    def _to_fixed_point(self, points, depth: float) -> np.ndarray:
        pixels = np.asarray(points, float) @ self._matrix + (self._shift + depth * self._turn)
        return np.rint(pixels * 16).astype(np.int32)

    def fill(self, points, color, *, depth: float = 0.0, alpha: float = 1.0) -> None:
        fixed = self._to_fixed_point(points, depth)
        color = tuple(map(float, np.clip(color, 0, 255)))
        if alpha == 1.0:
            cv2.fillPoly(self.image, [fixed], color, cv2.LINE_AA, 4)
            return
        left, top, width, height = cv2.boundingRect(fixed >> 4)
        left, top, right, bottom = max(left - 2, 0), max(top - 2, 0), left + width + 3, top + height + 3
        area = self.image[top:bottom, left:right]
        if area.size:
            layer = area.copy()
            cv2.fillPoly(layer, [fixed - (left * 16, top * 16)], color, cv2.LINE_AA, 4)
            cv2.addWeighted(layer, alpha, area, 1 - alpha, 0, area)

    def line(self, points, color, *, width: float = 0.03, depth: float = 0.0) -> None:
        fixed = self._to_fixed_point(points, depth)
        thickness = max(1, round(width * self.size))
        cv2.polylines(self.image, [fixed], False, tuple(map(float, color)), thickness, cv2.LINE_AA, 4)

    def shadow(self, points, level: int, *, depth: float = 0.0) -> None:
        cv2.fillPoly(self.shade, [self._to_fixed_point(points, depth)], level, cv2.LINE_8, 6)


def _draw_background(rng: np.random.Generator) -> np.ndarray:
    """Returns a wall with two large shapes in gentle colours on it, `uint8` array of shape `(256, 256, 3)`."""
    wall, *others = BRIGHT_COLORS[rng.choice(len(BRIGHT_COLORS), 3, replace=False)] * rng.uniform(0.75, 1.1)
    image = np.empty((256, 256, 3), np.uint8)
    image[:] = np.clip(wall, 0, 255)
    for kind, other in zip(rng.choice(5, 2, replace=False), others, strict=True):
        color = tuple(np.clip(wall + (other - wall) * rng.uniform(0.35, 0.85), 0, 255).tolist())
        x, y, slope = (int(number) for number in (*rng.integers(10, 246, 2), rng.integers(-110, 110)))
        if kind == 0:
            cv2.circle(image, (x, y), 60 + abs(slope), color, -1, cv2.LINE_AA)
        elif kind == 1:
            edge = 0 if x < 128 else 256
            corners = [(x - slope, 0), (x + slope, 256), (edge, 256), (edge, 0)]
            cv2.fillPoly(image, [np.array(corners)], color, cv2.LINE_AA)
        elif kind == 2:
            cv2.rectangle(image, (0, y), (256, 256 if slope > 0 else 0), color, -1)
        elif kind == 3:
            gap = 34 + abs(slope) // 3
            for offset in range(x % gap - 256, 512, gap):
                cv2.line(image, (offset, -8), (offset + slope, 264), color, 16, cv2.LINE_AA)
        else:  # a window, a picture
            left = x - 128 if slope > 0 else x
            cv2.rectangle(image, (left, y - 120), (left + 110, y + 20), color, -1)
    return image


def _draw_back_hair(canvas: _Canvas, person: Person) -> None:
    style, color = person.hair_style, person.hair * 0.8
    if style in _BACK_HAIR:
        canvas.fill(_blob(_BACK_HAIR[style]), color, depth=-0.3)
    elif style == "headscarf":
        canvas.fill(_blob(_BACK_SCARF), person.clothes * 0.78, depth=-0.2)
    elif style == "bun":
        canvas.fill(_ellipse(0.15 * person.side, -1.5, 0.36, 0.32), color, depth=-0.2)
    elif style == "curly":
        canvas.fill(_ellipse(0, -0.5, 1.26, 1.04), person.hair * 0.85, depth=-0.2)


def _draw_body(canvas: _Canvas, person: Person) -> None:
    half = [(0, 1.4), (0.5, 1.46), (1.2, 1.66), (1.75, 2.1), (1.9, 3.4), (0, 3.4)]
    canvas.fill(_blob(half), person.clothes, depth=-0.4)
    neck = [(0.42, 0.5), (0.43, 1.25), (0.56, 1.55), (0.3, 1.78), (0, 1.84)]
    canvas.fill(_blob(neck), person.skin * 0.9, depth=-0.3)
    canvas.shadow(_ellipse(0, person.chin - 0.02, 0.4, 0.34), 190, depth=-0.25)


def _draw_head(canvas: _Canvas, person: Person, features: Features) -> None:
    for side in (-1, 1):
        canvas.fill(_ellipse(side * 0.99 * person.width, 0.08, 0.14, 0.23), person.skin * 0.95, depth=-0.25)
        canvas.fill(_ellipse(side * 1.01 * person.width, 0.09, 0.07, 0.14), person.skin * 0.8, depth=-0.25)
    drop, chin = features.jaw_drop, person.chin + features.jaw_drop
    half = [(0, -1.2), (0.52, -1.1), (0.88, -0.68), (1.0, -0.1), (0.94, 0.38)]
    half += [(person.jaw, 0.8 + 0.6 * drop), (0.3, chin - 0.03), (0, chin + 0.02)]
    outline = _blob(np.array(half) * (person.width, 1))
    canvas.shadow(outline, 255)
    canvas.fill(outline, person.skin)
    blush = np.clip(person.skin * (1.0, 0.8, 0.78) + (14, 0, 0), 0, 255)
    for side in (-1, 1):
        y = 0.36 - 0.05 * features.cheek
        canvas.fill(_ellipse(side * 0.6, y, 0.22, 0.15), blush, depth=0.25, alpha=0.22 + 0.2 * features.cheek)


def _draw_beard(canvas: _Canvas, person: Person, features: Features) -> None:
    jaw, chin, drop = person.jaw, person.chin, features.jaw_drop
    color = 0.85 * person.hair + 0.15 * person.skin
    if person.beard in ("stubble", "full"):
        half = [(0.97 * person.width, 0.1), (0.95 * person.width, 0.42), (jaw + 0.02, 0.84 + 0.6 * drop)]
        half += [(0.32, chin + 0.03 + drop), (0, chin + 0.07 + drop)]
        outer = _stroke(half)
        inner = _stroke([(0, 0.43), (0.26, 0.43), (0.5, 0.56), (0.68, 0.52), (0.84, 0.3), (0.9, 0.1)])
        edge = np.concatenate([outer, outer[::-1] * (-1, 1), inner[::-1] * (-1, 1), inner])
        alpha = 1.0 if person.beard == "full" else 0.28
        canvas.fill(edge, color, depth=0.1, alpha=alpha)
    elif person.beard == "goatee":
        half = [(0, 0.44), (0.36, 0.46), (0.44, 0.72), (0.34, chin + drop), (0, chin + 0.06 + drop)]
        canvas.fill(_blob(half), color, depth=0.2)
    elif person.beard == "moustache":
        lift = 0.5 * features.mouth_corner
        half = [(0, 0.42), (0.22, 0.41), (0.42, 0.58 - lift), (0.2, 0.54), (0, 0.52)]
        canvas.fill(_blob(half), color, depth=0.4)


def _draw_age_lines(canvas: _Canvas, person: Person, features: Features) -> None:
    """Draws the lines that age and muscles leave: on the forehead (1, 2), between the brows (4), by the mouth (12)."""
    color = person.skin * 0.8
    raised = features.inner_brow + features.outer_brow
    for row in range(2 if person.age > 0.7 or raised > 0.2 else 0):
        y = -0.66 - 0.11 * row - 0.3 * max(raised, 0)
        canvas.line(_stroke([(-0.34, y + 0.03), (0, y), (0.34, y + 0.03)]), color, depth=0.3)
    if features.brow_gap < 0.19:
        for side in (-1, 1):
            canvas.line([(side * 0.06, -0.42), (side * 0.05, -0.28)], color, depth=0.4)
    fold = max(features.mouth_corner, 0) * 3 + 0.6 * features.nose_wrinkle + 0.8 * max(person.age - 0.5, 0)
    if fold > 0.2:
        color = person.skin * (1 - 0.2 * min(fold, 1))
        for side in (-1, 1):
            x = features.mouth_width + 0.12
            points = [(side * 0.24, 0.28), (side * x * 0.86, 0.42), (side * x, 0.6)]
            canvas.line(_stroke(points), color, depth=0.35)


def _draw_eye(canvas: _Canvas, person: Person, features: Features, side: int, gaze: tuple[float, float]) -> None:
    x, y, size = side * person.eye_distance, -0.04, person.eye_size
    lids = x + 0.215 * size * _T
    slant = 0.015 * side * _T
    top = y - size * features.upper_lid * (1 - _T**2) ** 0.75 - slant
    bottom = y + size * features.lower_lid * (1 - np.abs(_T) ** 2.6) - slant
    canvas.fill(_ellipse(x, y - 0.05, 0.27, 0.17), person.skin * 0.86, depth=0.22, alpha=0.35)
    canvas.fill(_between(lids, top, bottom), (246, 243, 238), depth=0.25)
    for radius, color in ((0.118, person.eyes), (0.06, (22, 18, 20))):
        iris = _ellipse(x + gaze[0], y - 0.02 + gaze[1], radius * size, radius * size)
        iris[:, 1] = np.clip(iris[:, 1], np.interp(iris[:, 0], lids, top), np.interp(iris[:, 0], lids, bottom))
        canvas.fill(iris, color, depth=0.25)
    if features.upper_lid > 0.08:
        canvas.fill(_ellipse(x + gaze[0] + 0.035, y - 0.055 + gaze[1], 0.024, 0.024), (255, 255, 255), depth=0.25)
    canvas.line(np.stack([lids, top], 1), (44, 32, 32), width=0.04, depth=0.25)
    canvas.line(np.stack([lids, bottom], 1)[3:12], person.skin * 0.7, width=0.02, depth=0.25)
    canvas.line(np.stack([lids, top - 0.055], 1)[2:13], person.skin * 0.72, width=0.02, depth=0.23)
    if features.cheek > 0.25:  # the cheek pushes the lower lid up
        points = [(x - 0.17, y + 0.13), (x, y + 0.165), (x + 0.17, y + 0.13)]
        canvas.line(_stroke(points), person.skin * 0.82, width=0.025, depth=0.25)


def _draw_brow(canvas: _Canvas, person: Person, features: Features, side: int) -> None:
    inner, outer, start = features.inner_brow, features.outer_brow, features.brow_gap
    x = side * np.array((start - 0.04, start + 0.16, start + 0.36, start + 0.5))
    y = np.array((-0.335 - inner, -0.375 - 0.65 * inner - 0.35 * outer, -0.375 - outer, -0.3 - 0.9 * outer))
    half = person.brow * np.array((0.75, 1.0, 0.8, 0.25))
    top, bottom = np.stack([x, y - half / 2], 1), np.stack([x, y + half / 2], 1)
    edge = np.concatenate([_stroke(top), _stroke(bottom)[::-1]])
    hair = person.hair * min(1.0, 130 / person.hair.max())  # fair hair needs darker brows to be seen
    canvas.fill(edge, 0.75 * hair + 0.15 * person.skin, depth=0.28)


def _draw_nose(canvas: _Canvas, person: Person, features: Features) -> None:
    wide, lift = person.nose * (1 + 0.15 * features.nose_wrinkle), 0.05 * features.nose_wrinkle
    shade = person.skin * 0.87
    plane = [(0.07, -0.2), (0.09, 0.1), (wide, 0.24 - lift), (wide * 0.8, 0.34 - lift), (0, 0.37), (0.02, 0.1)]
    canvas.fill(_smooth(np.array(plane) * (person.side, 1)), shade, depth=0.5, alpha=0.6)
    points = [(-wide, 0.25 - lift), (-wide * 0.85, 0.32 - lift), (-0.05, 0.335), (0, 0.36)]
    points += [(0.05, 0.335), (wide * 0.85, 0.32 - lift), (wide, 0.25 - lift)]
    canvas.line(_stroke(points), person.skin * 0.66, width=0.028, depth=0.5)
    for row in range(3 if features.nose_wrinkle > 0.3 else 0):
        y = -0.16 + 0.08 * row
        canvas.line([(-0.09, y - 0.02), (0, y + 0.01), (0.09, y - 0.02)], person.skin * 0.76, width=0.022, depth=0.45)


def _draw_mouth(canvas: _Canvas, person: Person, features: Features) -> None:
    opening, width = features.mouth_open, features.mouth_width
    # How far each place opens, 0 at the corners: stretched lips make a box, a dropped jaw an O.
    round_ = (1 - np.abs(_T) ** (2 + 2.5 * features.mouth_square)) ** (1 - 2.5 * features.jaw_drop)
    x = width * _T
    closed = 0.63 + 0.4 * features.jaw_drop - features.mouth_corner * (np.abs(_T) ** 1.8 - 0.35)
    top = closed - (0.45 * opening + 0.8 * features.upper_lip) * round_
    bottom = closed + 0.55 * opening * round_
    full = person.lip * features.lip_fullness * (1 - _T**2) ** 0.7
    upper = top - 0.075 * full * (1 - 0.28 * np.exp(-((_T / 0.2) ** 2)))
    lower = bottom + 0.1 * full
    canvas.fill(_between(x, upper, top), person.lips * 0.93, depth=0.38)
    canvas.fill(_between(x, bottom, lower), person.lips, depth=0.38)
    if opening + features.upper_lip > 0.03:
        canvas.fill(_between(x, top, bottom), (84, 30, 36), depth=0.38)
        inside = slice(1, -1)
        tongue = np.maximum(bottom - 0.09 * round_ * (np.abs(_T) < 0.75), top)
        canvas.fill(_between(x[inside], tongue[inside], bottom[inside]), (196, 92, 94), depth=0.37)
        teeth = np.minimum(bottom, top + 0.065 * round_ + 0.02)
        canvas.fill(_between(x[inside], top[inside], teeth[inside]), (246, 242, 234), depth=0.38)
    else:
        canvas.line(np.stack([x, closed], 1), person.lips * 0.55, width=0.03, depth=0.38)
    for side, end in ((-1, 0), (1, -1)):  # a short stroke sets the corner off
        y = closed[end]
        turn = -0.03 * np.sign(features.mouth_corner)
        canvas.line([(x[end] - side * 0.02, y), (x[end] + side * 0.03, y + turn)], person.lips * 0.6, depth=0.36)
    canvas.shadow(_ellipse(0, 0.63 + 0.17 + 0.55 * opening + 0.4 * features.jaw_drop, 0.16, 0.04), 225, depth=0.38)


def _draw_glasses(canvas: _Canvas, person: Person, is_dark: bool) -> None:
    color = (40, 36, 42) if person.age < 0.6 else (120, 84, 50)
    for side in (-1, 1):
        x = side * (person.eye_distance + 0.01)
        lens = np.sign(_CIRCLE) * np.abs(_CIRCLE) ** 0.65 * (0.31, 0.24) + (x, -0.01)
        canvas.fill(lens, (34, 32, 44) if is_dark else (255, 255, 255), depth=0.4, alpha=0.93 if is_dark else 0.12)
        canvas.line(np.concatenate([lens, lens[:1]]), color, width=0.04, depth=0.4)
        canvas.line([(x + side * 0.31, -0.06), (side * 0.98, -0.1)], color, width=0.04, depth=0.15)
    canvas.line(_stroke([(-0.13, -0.04), (0, -0.08), (0.13, -0.04)]), color, width=0.04, depth=0.45)


def _draw_front_hair(canvas: _Canvas, person: Person) -> None:  # noqa: C901  one short branch a hair style
    style, side, color, alpha = person.hair_style, person.side, person.hair, 1.0
    if style == "bald":
        canvas.fill(_ellipse(-0.3 * side, -0.95, 0.24, 0.09), (255, 255, 255), depth=0.1, alpha=0.14)
        return
    outer, inner = np.array(_HAIR_TOP), np.array(_HAIRLINES[style])
    if len(inner) == 4:
        inner = np.concatenate([inner, inner[-2::-1] * (-1, 1)])
    elif side < 0:
        inner = inner[::-1] * (-1, 1)
    if style == "headscarf":
        color, outer = person.clothes, np.array([(-0.92, 0.92), *outer * 1.04, (0.92, 0.92)])
        inner = np.array([(0.62, 0.96), *inner, (-0.62, 0.96)])
    elif style == "beanie":
        color, outer = person.clothes[::-1], outer * (1.04, 1.05)
        outer[[0, -1]] = [(-1.08, -0.45), (1.08, -0.45)]
    elif style == "buzz":
        outer, alpha = outer * (0.97, 0.9), 0.85
    elif style == "quiff":
        outer[3] += (0.2 * side, -0.14)
    elif style == "curly":
        for angle in np.linspace(np.pi * 0.98, np.pi * 2.02, 13):
            canvas.fill(_ellipse(1.03 * np.cos(angle), -0.45 + 0.8 * np.sin(angle), 0.25, 0.25), color, depth=-0.1)
    canvas.fill(np.concatenate([_stroke(outer), _stroke(inner)]), color, depth=0.05, alpha=alpha)
    light = color * 1.15 + 12
    if style == "beanie":
        canvas.fill(_smooth(_BEANIE_BAND), light, depth=0.08)
    elif style not in ("headscarf", "buzz", "curly"):
        shine = [(-0.72 * side, -0.92), (-0.4 * side, -1.12), (0, -1.2), (-0.1 * side, -1.1), (-0.45 * side, -1.0)]
        canvas.fill(_smooth(shine), light, depth=0.05, alpha=0.55)


def _draw_cover(canvas: _Canvas, person: Person, cover: str) -> None:
    """Draws what hides a part of the face."""
    side = person.side
    if cover == "mask":
        for x in (-1, 1):
            canvas.line([(x * 0.8, 0.4), (x * 0.98, 0.06)], (232, 236, 240), depth=0.1)
        half = [(0, 0.2), (0.4, 0.3), (0.84, 0.36), (0.8, 0.72), (0.45, 1.12), (0, 1.22)]
        canvas.fill(_blob(half), (170, 204, 220), depth=0.35)
        for y in (0.55, 0.75, 0.95):
            fold = _stroke([(-0.7, y - 0.05), (0, y), (0.7, y - 0.05)])
            canvas.line(fold, (146, 182, 202), depth=0.35)
    elif cover == "scarf":
        half = [(0, 0.58), (0.6, 0.52), (1.02, 0.4), (1.16, 0.9), (1.1, 1.6), (0, 1.9)]
        canvas.fill(_blob(half), person.clothes[::-1] * 0.9, depth=0.2)
        for y in (0.85, 1.15):
            fold = _stroke([(-0.9, y - 0.12), (0, y), (0.9, y - 0.16)])
            canvas.line(fold, person.clothes[::-1] * 0.75, depth=0.2)
    elif cover == "lock":
        lock = [(0.1, -1.2), (0.75, -1.05), (1.02, -0.4), (0.98, 0.35), (0.72, 0.3), (0.5, -0.1), (0.3, -0.6)]
        canvas.fill(_smooth(np.array(lock) * (side, 1)), person.hair * 0.9, depth=0.25)
    elif cover == "sunglasses":
        _draw_glasses(canvas, person, is_dark=True)
    elif cover == "hand":
        for finger, tip in enumerate((0.82, 0.64, 0.58, 0.66)):
            base = 0.42 + 0.19 * finger
            points = [(side * (base + 0.05), 1.3), (side * base, tip)]
            canvas.line(points, person.skin * 0.76, width=0.22, depth=0.5)
            canvas.line(points, person.skin * 0.97, width=0.18, depth=0.5)
        palm = [(0.38, 1.1), (1.1, 1.1), (1.12, 1.7), (0.95, 2.3), (0.5, 2.3), (0.36, 1.5)]
        canvas.fill(_smooth(np.array(palm) * (side, 1)), person.skin * 0.97, depth=0.5)


_GRID_X, _GRID_Y = np.meshgrid(
    np.linspace(-1, 1, PORTRAIT_SIZE_PX, dtype=np.float32), np.linspace(-1, 1, PORTRAIT_SIZE_PX)
)


def _photograph(canvas: _Canvas, rng: np.random.Generator) -> np.ndarray:
    """Returns the finished picture: halved in size, lit from one side, seldom blurred, with the noise of a camera."""
    image = cv2.resize(canvas.image, (PORTRAIT_SIZE_PX, PORTRAIT_SIZE_PX), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 0.9))
    angle, strength, level = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.25), rng.uniform(0.8, 1.05)
    shade = cv2.GaussianBlur(canvas.shade, (0, 0), 1.6)
    shade = cv2.resize(shade, (PORTRAIT_SIZE_PX, PORTRAIT_SIZE_PX)).astype(np.float32) / 255
    light = shade * (level * (1 + strength * (np.cos(angle) * _GRID_X + np.sin(angle) * _GRID_Y))).astype(np.float32)
    noise = rng.standard_normal((PORTRAIT_SIZE_PX, PORTRAIT_SIZE_PX), dtype=np.float32) * rng.uniform(0.5, 2.5)
    pixels = image * light[..., None] + noise[..., None]
    return np.clip(pixels, 0, 255).astype(np.uint8)


def draw_portrait(
    person: Person,
    features: Features,
    gaze: tuple[float, float],
    cover: str | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Returns one portrait: `uint8` array of shape `(128, 128, 3)`, RGB, 0-255.

    Args:
        person: Who is drawn.
        features: The measures of the face, after its muscles have moved.
        gaze: How far the eyes look to the side and down, in face coordinates.
        cover: What hides a part of the face: "mask", "scarf", "lock", "sunglasses", "hand", or None.
        rng: The source of chance for background, pose, light and noise.
    """
    canvas = _Canvas(_draw_background(rng), rng)
    _draw_back_hair(canvas, person)
    _draw_body(canvas, person)
    _draw_head(canvas, person, features)
    if person.beard:
        _draw_beard(canvas, person, features)
    _draw_age_lines(canvas, person, features)
    for side in (-1, 1):
        _draw_eye(canvas, person, features, side, gaze)
        _draw_brow(canvas, person, features, side)
    _draw_mouth(canvas, person, features)
    _draw_nose(canvas, person, features)
    if person.glasses and cover != "sunglasses":
        _draw_glasses(canvas, person, is_dark=False)
    if cover == "lock":
        _draw_cover(canvas, person, cover)
    _draw_front_hair(canvas, person)
    if cover and cover != "lock":
        _draw_cover(canvas, person, cover)
    return _photograph(canvas, rng)
