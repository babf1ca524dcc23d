"""Polygons out of VTP, the XML of VTK, which the readers of others leave out."""

import base64
import re
import zlib
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

TYPES = {"Float32": "f4", "Float64": "f8", "Int32": "i4", "Int64": "i8", "UInt32": "u4", "UInt64": "u8"}
TYPES |= {"Int8": "i1", "UInt8": "u1", "Int16": "i2", "UInt16": "u2"}
APPENDED = re.compile(rb"<AppendedData[^>]*encoding=\"(\w+)\"[^>]*>\s*_(.*)</AppendedData>", re.DOTALL)


def read_vtp(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(v, 3)`` and triangles ``(f, 3)`` of all pieces; polygons are cut into fans.

    Arrays may be written as text, in base64 or appended, compressed by zlib or not.

    Raises:
        ValueError: for another file, or another compression.
    """
    data = path.read_bytes()
    found = APPENDED.search(data)
    text = data if found is None else data[: found.start()] + data[found.end() :]
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError("it declares entities, which no VTP does")
    root = ElementTree.fromstring(text)
    if root.tag != "VTKFile" or root.get("type") != "PolyData":
        raise ValueError(f"it is {root.tag} {root.get('type', '')}, not a VTKFile of PolyData")
    if root.get("compressor") not in (None, "vtkZLibDataCompressor"):
        raise ValueError(f"it is compressed by {root.get('compressor')}, not by zlib")
    arrays = _Arrays(root, *((b"", b"") if found is None else (found[1], found[2])))
    points, faces, count = [np.zeros((0, 3))], [np.zeros((0, 3), dtype=np.int64)], 0
    for piece in root.iter("Piece"):
        points.append(arrays.read(piece.find("Points/DataArray")).reshape(-1, 3))
        corners = arrays.read(piece.find("Polys/DataArray[@Name='connectivity']")).astype(np.int64)
        ends = arrays.read(piece.find("Polys/DataArray[@Name='offsets']")).astype(np.int64)
        faces.append(_fans(corners, ends) + count)
        count += len(points[-1])
    return np.concatenate(points), np.concatenate(faces)


def _fans(corners: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Triangles from the first corner of each polygon to its further sides."""
    size = np.diff(ends, prepend=0)
    n = np.maximum(size - 2, 0)
    start = np.repeat(ends - size, n)
    place = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n) + start
    return np.stack([corners[start], corners[place + 1], corners[place + 2]], 1)


class _Arrays:
    """The data arrays of one file."""

    def __init__(self, root: ElementTree.Element, encoding: bytes, appended: bytes) -> None:
        self.order = "<" if root.get("byte_order", "LittleEndian") == "LittleEndian" else ">"
        self.header = np.dtype(self.order + TYPES[root.get("header_type", "UInt32")])
        self.is_compressed = root.get("compressor") is not None
        self.encoding, self.appended = encoding, appended

    def read(self, array: ElementTree.Element | None) -> np.ndarray:
        if array is None:
            raise ValueError("it has a piece without points or polygons")
        dtype = np.dtype(self.order + TYPES[array.get("type", "")])
        how = array.get("format", "ascii")
        if how == "ascii":
            return np.array((array.text or "").split(), dtype=dtype.newbyteorder("="))
        if how == "appended":
            rest = self.appended[int(array.get("offset", "0")) :]
            return np.frombuffer(self._block(rest, self.encoding == b"base64"), dtype)
        return np.frombuffer(self._block("".join((array.text or "").split()).encode(), True), dtype)

    def _block(self, data: bytes, is_base64: bool) -> bytes:
        """One array: its sizes first, then its bytes, or pieces of these compressed one by one."""
        size = self.header.itemsize
        if not self.is_compressed:
            head = self._decoded(data, 0, size, is_base64)
            length = int(np.frombuffer(head, self.header)[0])
            return self._decoded(data, 0, size + length, is_base64)[size:]
        count = int(np.frombuffer(self._decoded(data, 0, size, is_base64), self.header)[0])
        sizes = np.frombuffer(self._decoded(data, 0, (3 + count) * size, is_base64), self.header)[3:]
        start = (3 + count) * size
        start = -(-start // 3) * 4 if is_base64 else start  # the head is encoded by itself
        packed = self._decoded(data, start, int(sizes.sum()), is_base64)
        ends = np.cumsum(sizes)
        return b"".join(
            zlib.decompress(packed[int(e - n) : int(e)]) for n, e in zip(sizes, ends, strict=True)
        )

    @staticmethod
    def _decoded(data: bytes, start: int, count: int, is_base64: bool) -> bytes:
        if not is_base64:
            return data[start : start + count]
        return base64.b64decode(data[start : start + -(-count // 3) * 4])[:count]
