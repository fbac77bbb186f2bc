"""Where the bytes of a data set's pictures lie: a folder, a .zip read in place, or the code that draws sample faces.

The three kinds answer the same four questions (which paths, open one, read one's bytes, what identifies the content),
so that nothing above needs to know which it is. None of them copies or unpacks anything.
"""

import hashlib
import io
import lzma
import os
import stat
import struct
import zipfile
import zlib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from PIL import Image

from facedep.data import sample_faces
from facedep.errors import DataError, ImageError
from facedep.images.opening import MAX_PICTURE_BYTES, PICTURE_SUFFIXES, open_picture, read_picture_bytes

MAX_ZIP_MEMBERS = 500_000
MAX_ZIP_BYTES = 16 * 1024**3


# What the standard library's decompressors are seen to raise on damaged members.
UNPACKING_ERRORS = (OSError, EOFError, ValueError, IndexError, NotImplementedError, RuntimeError, zipfile.BadZipFile,
                     struct.error, zlib.error, lzma.LZMAError)  # fmt: skip


def _is_hidden(path: PurePosixPath) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def _is_picture(path: PurePosixPath) -> bool:
    return not _is_hidden(path) and path.suffix.lower() in PICTURE_SUFFIXES


def _refuse_folder(error: OSError) -> None:
    raise DataError(f"{error.filename} cannot be read ({error.strerror}). Check that you may read it, or move it away.")


def _hash_lines(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


class FolderStore:
    """Pictures in a folder and its subfolders, read in place. Links to other folders are not followed.

    Args:
        root: The folder.

    Raises:
        DataError: A folder in it cannot be read, or a file's name cannot be written down. Raised by whatever asks for
            the paths first, so that no picture is ever missing in silence.
    """

    def __init__(self, root: Path):
        self.root = root

    @cached_property
    def _listing(self) -> tuple[dict[str, os.stat_result], int]:
        """The pictures by path, and how many other files there are."""
        files: dict[str, os.stat_result] = {}
        num_others = 0
        for folder, folder_names, names in os.walk(self.root, onerror=_refuse_folder):
            folder_names[:] = [name for name in folder_names if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                relative = path.relative_to(self.root).as_posix()
                if not _is_picture(PurePosixPath(relative)):
                    num_others += not _is_hidden(PurePosixPath(relative))
                    continue
                shown = relative.encode(errors="replace").decode()
                if shown != relative:
                    raise DataError(f"The name of {shown} is not valid UTF-8 text. Rename that file or its folder.")
                try:
                    info = path.stat()
                except OSError:  # a dangling link
                    continue
                if stat.S_ISREG(info.st_mode):
                    files[relative] = info
        return files, num_others

    @property
    def _files(self) -> dict[str, os.stat_result]:
        return self._listing[0]

    @property
    def num_others(self) -> int:
        """How many files are not pictures by their names; hidden ones are not counted."""
        return self._listing[1]

    @property
    def paths(self) -> list[str]:
        """Relative paths of all pictures, with "/" between their parts, sorted."""
        return sorted(self._files)

    def read_bytes(self, path: str) -> bytes:
        """Returns the file's content. Raises `ImageError` where it cannot be read or is larger than 256 MiB."""
        return read_picture_bytes(self.root / path, path)

    def open(self, path: str) -> Image.Image:
        """Returns the decoded picture. Raises `ImageError` where it cannot be read."""
        return open_picture(self.read_bytes(path), path)

    @cached_property
    def state_key(self) -> str:
        """A quick key that changes when any file is added, removed or written: names, sizes and times."""
        return _hash_lines([f"{path}\t{info.st_size}\t{info.st_mtime_ns}" for path, info in self._files.items()])

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits over every path, size and CRC-32: the same for a folder and for the zip of what is in it."""
        lines = []
        for path, info in self._files.items():
            try:
                lines.append(f"{path}\t{info.st_size}\t{zlib.crc32(self.read_bytes(path)):08x}")
            except ImageError:
                lines.append(f"{path}\tunreadable")
        return _hash_lines(lines)


class ZipStore:
    """Pictures in a .zip archive, read in place: nothing is unpacked, so nothing can land outside a folder.

    Args:
        archive: The archive's path, or the archive as a binary file that can seek, which stays open and untouched.
        name: What to call the archive in an error sentence; by default its file's name.

    Attributes:
        name: What it is called in error sentences.
        num_others: How many files in it are not pictures by their names; hidden ones are not counted.

    Raises:
        DataError: It is no zip, damaged, protected by a password, implausibly large, or names files outside itself.
    """

    def __init__(self, archive: Path | BinaryIO, name: str | None = None):
        self.name = name = name or Path(str(getattr(archive, "name", "The upload"))).name
        try:
            if isinstance(archive, Path):
                info = archive.stat()
                self._written = f"{info.st_size}\t{info.st_mtime_ns}"
            else:
                self._written = f"{archive.seek(0, os.SEEK_END)}"
            self._archive = zipfile.ZipFile(archive)
        except zipfile.BadZipFile:
            raise DataError(
                f"{name} is not a .zip archive, or it is cut off. Download or export it again; other archive kinds "
                "(.rar, .7z, .tar) must be unpacked first: then choose what was in it."
            ) from None
        except (OSError, NotImplementedError, ValueError, struct.error) as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{name} cannot be opened ({reason}). Check the file and that you may read it.") from None
        try:
            self._members = self._list_members(name)
        except DataError:
            self.close()  # Windows cannot delete an open file
            raise

    def _list_members(self, name: str) -> dict[str, zipfile.ZipInfo]:
        members = self._archive.infolist()
        if len(members) > MAX_ZIP_MEMBERS or sum(member.file_size for member in members) > MAX_ZIP_BYTES:
            raise DataError(
                f"{name} claims more than {MAX_ZIP_MEMBERS:,} files or {MAX_ZIP_BYTES // 1024**3} GiB of content "
                "and was not opened. Make an archive with fewer pictures."
            )
        pictures = {}
        self.num_others = 0
        for member in members:
            path = PurePosixPath(member.filename.replace("\\", "/"))
            if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
                raise DataError(
                    f"{name} names a file outside itself ({member.filename!r}) and was not opened. "
                    "Make a new archive of the picture folder."
                )
            is_link = stat.S_ISLNK(member.external_attr >> 16)
            if member.is_dir() or is_link or not _is_picture(path):
                self.num_others += not (member.is_dir() or _is_hidden(path))
                continue
            if member.flag_bits & 0x1:
                raise DataError(f"{name} is protected by a password. Make an archive without one.")
            pictures[path.as_posix()] = member
        return pictures

    def close(self) -> None:
        """Closes the archive's file, so that it can be moved or deleted on Windows too."""
        self._archive.close()

    @property
    def paths(self) -> list[str]:
        """Paths of all pictures inside the archive, sorted."""
        return sorted(self._members)

    def read_bytes(self, path: str) -> bytes:
        """Returns the member's content. Raises `ImageError` where it is damaged or larger than 256 MiB."""
        member = self._members[path]
        if member.file_size > MAX_PICTURE_BYTES:
            raise ImageError(f"{path} is larger than {MAX_PICTURE_BYTES // 1024**2} MiB and was not opened.")
        try:
            with self._archive.open(member) as file:  # never gives more than the size that was checked
                return file.read(MAX_PICTURE_BYTES)
        except UNPACKING_ERRORS:
            raise ImageError(f"{path} is damaged inside {self.name}. Make the archive again.") from None

    def open(self, path: str) -> Image.Image:
        """Returns the decoded picture. Raises `ImageError` where it cannot be read."""
        return open_picture(self.read_bytes(path), path)

    @property
    def state_key(self) -> str:
        """A quick key that changes when the archive is written again, as a damaged one must be: its size and time."""
        return _hash_lines([self.content_hash, self._written])

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits over every path, size and CRC-32: the same for a folder and for the zip of what is in it."""
        return _hash_lines([f"{path}\t{m.file_size}\t{m.CRC:08x}" for path, m in self._members.items()])


class SampleStore:
    """The drawn sample faces. A path says what to draw: `train/happy/0007.png`."""

    @cached_property
    def paths(self) -> list[str]:
        """Paths of all drawings: of each emotion 70 % below `train`, 15 % below `val` and 15 % below `test`."""
        total = sample_faces.NUM_PER_EMOTION
        num_train, num_val = round(total * 0.7), round(total * 0.15)
        subsets = ["train"] * num_train + ["val"] * num_val + ["test"] * (total - num_train - num_val)
        return sorted(
            f"{subset}/{emotion}/{number:04d}.png"
            for emotion in sample_faces.SAMPLE_EMOTIONS
            for number, subset in enumerate(subsets)
        )

    def _draw(self, path: str) -> np.ndarray:
        _, emotion, name = PurePosixPath(path).parts
        return sample_faces.draw_sample_face(emotion, int(name.removesuffix(".png")))

    def read_bytes(self, path: str) -> bytes:
        """Returns the drawing as a PNG file's content."""
        buffer = io.BytesIO()
        self.open(path).save(buffer, format="PNG")
        return buffer.getvalue()

    def open(self, path: str) -> Image.Image:
        """Returns the drawing, RGB, 128 x 128 pixels."""
        return Image.fromarray(self._draw(path))

    @property
    def state_key(self) -> str:
        """The content hash: the drawings follow from the version of the code."""
        return self.content_hash

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits over the paths and the version of the drawing code."""
        return _hash_lines([*self.paths, f"sample faces, version {sample_faces.SAMPLE_FACES_VERSION}"])


Store = FolderStore | ZipStore | SampleStore
