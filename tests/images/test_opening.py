import io
import os
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from facedep.errors import ImageError
from facedep.images.opening import compute_fingerprint, open_picture, prepare_image, to_gray
from facedep.paths import PROJECT_DIR

pillow_heif.register_heif_opener()  # for writing; what reads registers it itself, see the test in a fresh interpreter


def _encode(picture: Image.Image, format_name: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format_name, **options)
    return buffer.getvalue()


def _noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def _png(width: int, height: int, *, bit_depth: int = 8, rows: bytes = b"") -> bytes:
    """Returns a gray PNG that claims a size, whatever its pixel rows are."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, bit_depth, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "MPO", "HEIF"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_every_named_format_is_read(format_name, mode):
    picture = open_picture(_encode(Image.new(mode, (24, 16), "gray"), format_name), "face")
    assert picture.size == (24, 16)
    np.testing.assert_allclose(to_gray(picture), 128, atol=3)


def test_jpeg_of_a_thousand_passes_is_refused_at_once():
    content = _encode(Image.fromarray(_noise(64, 64)), "JPEG", progressive=True)
    assert open_picture(content, "face").size == (64, 64)
    last = content.rindex(b"\xff\xda")
    bomb = content[:last] + content[last:-2] * 1000 + content[-2:]
    started = time.perf_counter()
    with pytest.raises(ImageError, match=r"bomb\.jpg is stored in more than 100 passes"):
        open_picture(bomb, "bomb.jpg")
    assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize("format_name", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animated_pictures_give_their_first_frame(format_name):
    frames = [Image.new("L", (16, 16), value) for value in (40, 200, 90)]
    data = _encode(frames[0], format_name, save_all=True, append_images=frames[1:])
    np.testing.assert_allclose(to_gray(open_picture(data, "film")), 40, atol=1)


def test_cmyk_jpegs_are_read_in_their_colours():
    picture = open_picture(_encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG"), "print.jpg")
    assert picture.mode == "RGB"
    np.testing.assert_allclose(np.asarray(picture)[0, 0], [255, 0, 0], atol=3)


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
def test_sixteen_bit_grays_are_scaled_to_eight(format_name):
    values = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    picture = open_picture(_encode(Image.fromarray(values), format_name), "x-ray")
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.asarray(picture).reshape(-1), np.arange(256))


def test_sixteen_bit_grays_keep_their_darkness():
    values = np.full((16, 16), 128 * 257, np.uint16)
    assert set(to_gray(open_picture(_encode(Image.fromarray(values), "PNG"), "x")).reshape(-1)) == {128}


@pytest.mark.parametrize("largest", [1.0, 255.0])
def test_floating_point_grays_are_scaled_and_holes_are_black(largest):
    values = (np.linspace(0, largest, 256, dtype=np.float32)).reshape(16, 16)
    values[0, :2] = np.nan, np.inf
    gray = to_gray(open_picture(_encode(Image.fromarray(values), "TIFF"), "float.tif")).reshape(-1)
    assert list(gray[:3]) == [0, 0, 2]
    assert gray[255] == 255


def test_palette_pictures_are_read_in_their_colours():
    picture = Image.new("P", (16, 16), 3)
    picture.putpalette([channel for index in range(256) for channel in (index, 2 * index % 256, 0)])
    assert set(open_picture(_encode(picture, "PNG"), "p.png").get_flattened_data()) == {(3, 6, 0)}


@pytest.mark.parametrize(
    ("picture", "options"),
    [
        (Image.new("RGBA", (16, 16), (9, 9, 9, 0)), {}),
        (Image.new("LA", (16, 16), (9, 0)), {}),
        (Image.new("L", (16, 16), 9), {"transparency": 9}),
        (Image.new("RGB", (16, 16), (9, 9, 9)), {"transparency": (9, 9, 9)}),
        (Image.new("L", (16, 16), 9).convert("P"), {"transparency": 9}),
    ],
    ids=["RGBA", "LA", "L", "RGB", "P"],
)
def test_transparent_pictures_are_laid_on_white(picture, options):
    assert set(to_gray(open_picture(_encode(picture, "PNG", **options), "logo.png")).reshape(-1)) == {255}


def test_half_transparent_black_on_white_is_middle_gray():
    picture = open_picture(_encode(Image.new("RGBA", (16, 16), (0, 0, 0, 128)), "PNG"), "x")
    assert set(to_gray(picture).reshape(-1)) == {127}


@pytest.mark.parametrize(("orientation", "turn"), [(3, 180), (6, -90), (8, 90)])
def test_exif_turned_pictures_stand_upright(orientation, turn):
    upright = Image.fromarray(_noise(16, 24))
    exif = Image.Exif()
    exif[0x0112] = orientation
    lying = upright.rotate(-turn, expand=True)
    picture = open_picture(_encode(lying, "PNG", exif=exif), "phone.png")
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(upright))


def test_a_damaged_exif_note_does_not_stop_a_picture():
    data = _encode(Image.new("RGB", (16, 16), "gray"), "JPEG", exif=b"Exif\0\0no note at all")
    assert open_picture(data, "x").size == (16, 16)


@pytest.mark.parametrize("name", ["face.gif", "face.txt", "face"])
def test_wrongly_named_pictures_are_read_by_their_content(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(_encode(Image.fromarray(_noise(16, 16)), "PNG"))
    np.testing.assert_array_equal(np.asarray(open_picture(path, name)), _noise(16, 16))


def _draw_quarters() -> Image.Image:
    """Four quarters in four grays, 48 x 32 pixels: every turn and every mirroring gives another picture."""
    quarters = np.array([[0, 80], [160, 240]], np.uint8)
    return Image.fromarray(quarters.repeat(16, axis=0).repeat(24, axis=1)).convert("RGB")


def _take_with_phone(format_name: str, orientation: int, turn: int) -> bytes:
    """Returns the quarters as a phone held sideways keeps them: pixels as the sensor had them, and a note."""
    lying = _draw_quarters().rotate(-turn, expand=True)
    exif = Image.Exif()
    exif[0x0112] = orientation
    if format_name != "HEIF":
        return _encode(lying, format_name, exif=exif)
    lying.info["exif"] = exif.tobytes()  # written as the file's own transformation too, as phones do
    return _encode(lying, format_name)


@pytest.mark.parametrize("format_name", ["HEIF", "AVIF", "JPEG"])
@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 180), (6, -90), (8, 90)])
def test_phone_pictures_are_turned_once_and_not_twice(format_name, orientation, turn):
    picture = open_picture(_take_with_phone(format_name, orientation, turn), "phone")
    assert picture.size == (48, 32)
    np.testing.assert_allclose(to_gray(picture)[8::16, 12::24], [[0, 80], [160, 240]], atol=6)


def test_heic_is_turned_by_its_own_transformation_and_by_no_other_note():
    turned = _take_with_phone("HEIF", 6, -90)
    assert b"irot" in turned
    assert b"Exif" in turned
    noted = Image.Exif()
    noted[0x0112] = 6
    untouched = _encode(_draw_quarters(), "HEIF", exif=noted)  # the note alone, which the standard tells to ignore
    assert b"irot" not in untouched
    assert open_picture(untouched, "x").size == (48, 32)


def test_heic_gives_its_own_pixels_and_not_those_of_its_small_preview():
    picture = _draw_quarters().resize((480, 320), Image.Resampling.NEAREST)
    data = _encode(picture, "HEIF", thumbnails=[64])
    assert open_picture(data, "x").size == (480, 320)


def test_heic_is_read_by_whoever_has_not_registered_it(tmp_path):
    path = tmp_path / "face.HEIC"
    path.write_bytes(_HEIC)
    code = (
        "import sys; from pathlib import Path; from facedep.images.opening import open_picture;"
        "assert 'pillow_heif' not in sys.modules; print(open_picture(Path(sys.argv[1]), 'x').size)"
    )
    result = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, cwd=PROJECT_DIR)
    assert (result.stdout, result.stderr) == ("(64, 64)\n", "")


def _claim_size(data: bytes, width: int, height: int) -> bytes:
    """Returns a HEIC whose header claims another size."""
    start = data.index(b"ispe") + 8
    return data[:start] + struct.pack(">II", width, height) + data[start + 8 :]


_HEIC = _encode(Image.fromarray(_noise(64, 64)), "HEIF")
_JPEG = _encode(Image.fromarray(_noise(64, 64)), "JPEG")
_PNG = _encode(Image.fromarray(_noise(64, 64)), "PNG")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (_JPEG[: len(_JPEG) // 2], "damaged or cut off"),
        (_JPEG[:-1], "damaged or cut off"),
        (_PNG[: len(_PNG) // 2], "damaged or cut off"),
        (_PNG[:40], "not a picture"),
        (_HEIC[: len(_HEIC) // 2], "damaged or cut off"),
        (_HEIC[:-1], "damaged or cut off"),
        (_HEIC[:100], "not a picture"),
        (_HEIC[:12] + bytes(4000), "not a picture"),
        (b"\0\0\0\x18ftypheic" + _noise(64, 64).tobytes(), "not a picture"),
        (_claim_size(_HEIC, 32, 32), "damaged or cut off"),
        (_claim_size(_HEIC, 7, 500), "7 x 500 pixels"),
        (_claim_size(_HEIC, 20_000, 20_000), "more than 120 million pixels"),
        (_claim_size(_HEIC, 2**31, 2**31), "not a picture"),
        (b"<html>no picture</html>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n", "not a picture"),
        (b"\xff\xd8\xff", "not a picture"),
        (_encode(Image.new("L", (1, 1)), "PNG"), "1 x 1 pixels"),
        (_encode(Image.new("L", (500, 7)), "PNG"), "500 x 7 pixels"),
        (_png(0, 9), "not a picture"),
        (_png(100_000, 100_000), "more than 120 million pixels"),
        (_png(2**31 - 1, 2**31 - 1), "more than 120 million pixels"),
        (_png(10_950, 10_960), "more than 120 million pixels"),
        (_png(20_000, 20_000, bit_depth=1, rows=zlib.compress(bytes(2501 * 20_000), 9)), "120 million pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_unfit_pictures_are_refused_by_name(data, words):
    with pytest.raises(ImageError, match=words) as caught:
        open_picture(data, "folder/face 1.png")
    assert "folder/face 1.png" in str(caught.value)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_refused_before_it_is_unpacked():
    bomb = _png(20_000, 20_000, bit_depth=1, rows=b"these pixels cannot be decoded")
    with pytest.raises(ImageError, match="120 million pixels"):
        open_picture(bomb, "bomb.png")
    with pytest.raises(ImageError, match="120 million pixels"):
        open_picture(_claim_size(_HEIC, 10_950, 10_960)[:-500], "cut off, which only decoding could tell.heic")


def test_a_missing_file_a_folder_and_a_pipe_are_refused_by_name(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.png: there is no such file"):
        open_picture(tmp_path / "gone.png", "gone.png")
    with pytest.raises(ImageError, match="faces is a folder"):
        open_picture(tmp_path, "faces")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(ImageError, match=r"pipe\.png is no ordinary file"):
            open_picture(tmp_path / "pipe.png", "pipe.png")


@pytest.mark.filterwarnings("ignore:::PIL")
def test_any_damage_gives_a_picture_or_a_sentence(capfd):
    rng = np.random.default_rng(1)
    colours = Image.fromarray(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8))
    sources = [_encode(colours, name) for name in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "HEIF")]
    refused = 0
    for number in range(900):
        data = bytearray(sources[number % len(sources)])
        for place in rng.integers(0, len(data), 6):
            data[place] = rng.integers(256)
        try:
            assert open_picture(bytes(data), "x").mode in ("L", "RGB")
        except ImageError:
            refused += 1
    assert 100 < refused < 900
    capfd.readouterr()  # libtiff's remarks


def test_equal_pixels_have_equal_fingerprints_whatever_the_file_kind():
    pixels = _noise(16, 24)
    opened = [open_picture(_encode(Image.fromarray(pixels), kind), "x") for kind in ("PNG", "BMP", "TIFF")]
    fingerprints = {compute_fingerprint(to_gray(picture)) for picture in opened}
    assert fingerprints == {compute_fingerprint(np.asfortranarray(pixels))}
    assert {len(text) for text in fingerprints} == {16}


def test_one_gray_level_changes_the_fingerprint():
    pixels = _noise(16, 16)
    changed = pixels.copy()
    changed[3, 5] ^= 1
    assert compute_fingerprint(pixels) != compute_fingerprint(changed)


def test_the_shape_is_part_of_the_fingerprint():
    pixels = _noise(16, 24)
    assert compute_fingerprint(pixels) != compute_fingerprint(pixels.reshape(24, 16))
    assert compute_fingerprint(pixels) != compute_fingerprint(pixels.T)


def test_a_picture_of_the_right_size_is_prepared_unchanged():
    pixels = _noise(48, 48)
    prepared = prepare_image(pixels, 48)
    assert (prepared.shape, prepared.dtype) == ((48, 48, 1), np.uint8)
    np.testing.assert_array_equal(prepared[:, :, 0], pixels)


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"), [(48, 98, (0, 48), (25, 73)), (71, 48, (11, 59), (0, 48))]
)
def test_the_centre_square_is_taken(height, width, rows, columns):
    pixels = _noise(height, width)
    np.testing.assert_array_equal(prepare_image(pixels, 48)[:, :, 0], pixels[slice(*rows), slice(*columns)])


def test_fine_stripes_become_gray_and_not_other_stripes():
    stripes = np.tile(np.array([0, 255], np.uint8), (480, 240))
    np.testing.assert_allclose(prepare_image(stripes, 48)[4:-4, 4:-4], 127.5, atol=4)


def test_small_pictures_are_enlarged():
    assert prepare_image(np.full((8, 8), 77, np.uint8), 48).tolist() == np.full((48, 48, 1), 77).tolist()
