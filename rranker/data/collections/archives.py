"""The files within a tar archive."""

from __future__ import annotations

import io
import tarfile

from rranker.files import PathLike, read_bytes


def tar_files(path: PathLike, suffix: str) -> dict[str, bytes]:
    """{name within the archive: bytes} of the files whose name ends so, by name. Raises ValueError for a cut one."""
    try:
        with tarfile.open(fileobj=io.BytesIO(read_bytes(path))) as archive:
            files = [member for member in archive if member.isfile() and member.name.endswith(suffix)]
            contents = {member.name: archive.extractfile(member) for member in files}
            return {name: file.read() for name, file in sorted(contents.items()) if file is not None}
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a whole tar archive: {error}") from error
