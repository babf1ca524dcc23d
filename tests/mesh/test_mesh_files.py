"""Meshes out of files, by the readers of others."""

import base64
import json
import struct
import sys
import zlib

import numpy as np
import pytest
import torch
from solids import cube, icosphere

import erlangen as er


def needs(*names):
    for name in names:
        pytest.importorskip(name)


@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "off", "glb"])
def test_kinds_that_trimesh_reads(kind, tmp_path):
    needs("trimesh")
    import trimesh

    ball = icosphere(1)
    trimesh.Trimesh(ball.vertices.numpy(), ball.faces.numpy(), process=False).export(
        tmp_path / f"ball.{kind}"
    )
    found = er.Mesh.load(tmp_path / f"ball.{kind}")
    assert len(found.faces) == 80
    assert found.report().boundaries == (80 if kind == "stl" else 0)  # whose triangles are loose
    good = found.repair()
    assert good.report().is_manifold
    assert (good.count, good.report().boundaries) == (42, 0)
    torch.testing.assert_close(good.vertices.norm(dim=-1), torch.ones(42).double(), rtol=0, atol=1e-6)
    same = er.Mesh.load(str(tmp_path / f"ball.{kind}"))
    assert torch.equal(same.vertices, found.vertices)


@pytest.mark.parametrize("kind", ["vtu", "vtk", "msh"])
def test_kinds_that_meshio_reads(kind, tmp_path):
    needs("meshio")
    import meshio

    body = cube()
    cells = [("triangle", body.faces.numpy()), ("quad", [[0, 1, 3, 2], [4, 6, 7, 5]])]
    meshio.Mesh(body.vertices.numpy(), cells).write(tmp_path / f"cube.{kind}")
    found = er.Mesh.load(tmp_path / f"cube.{kind}")
    assert found.count == 8
    assert len(found.faces) == 16
    assert found.repair().report().is_manifold


def encoded(values, form, header):
    """An array as VTK writes it."""
    raw = np.asarray(values).tobytes()
    size = np.dtype(header)
    if "zlib" in form:
        half = -(-len(raw) // 2)
        blocks = [zlib.compress(raw[:half]), zlib.compress(raw[half:])]
        head = np.array([2, half, len(raw) - half, *map(len, blocks)], size).tobytes()
        body = b"".join(blocks)
    else:
        head, body = np.array([len(raw)], size).tobytes(), raw
    if "raw" in form:
        return head + body
    return (
        base64.b64encode(head) + base64.b64encode(body) if "zlib" in form else base64.b64encode(head + body)
    )


@pytest.mark.parametrize("header", ["UInt32", "UInt64"])
@pytest.mark.parametrize(
    "form", ["ascii", "base64", "base64 zlib", "appended raw", "appended raw zlib", "appended base64"]
)
def test_vtp(form, header, tmp_path):
    """Squares as polygons, in every way that VTK writes arrays."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype="<f4")
    squares = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
    arrays = {
        "Points": corners,
        "connectivity": squares.astype("<i8"),
        "offsets": 4 * np.arange(1, 7).astype("<i4"),
    }
    tags, appended = {}, b""
    for name, values in arrays.items():
        kind = {"f4": "Float32", "i8": "Int64", "i4": "Int32"}[values.dtype.str[1:]]
        head = f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="3"'
        if form == "ascii":
            tags[name] = f'{head} format="ascii">{" ".join(map(str, values.flatten()))}</DataArray>'.encode()
        elif "appended" in form:
            tags[name] = f'{head} format="appended" offset="{len(appended)}"/>'.encode()
            appended += encoded(values, form, header.lower())
        else:
            tags[name] = (
                f'{head} format="binary">'.encode() + encoded(values, form, header.lower()) + b"</DataArray>"
            )
    compressor = ' compressor="vtkZLibDataCompressor"' * ("zlib" in form)
    text = (
        f'<?xml version="1.0"?><VTKFile type="PolyData" byte_order="LittleEndian" '
        f'header_type="{header}"{compressor}>'
        '<PolyData><Piece NumberOfPoints="8" NumberOfPolys="6"><Points>'
    ).encode()
    text += (
        tags["Points"]
        + b"</Points><Polys>"
        + tags["connectivity"]
        + tags["offsets"]
        + b"</Polys></Piece></PolyData>"
    )
    if appended:
        text += f'<AppendedData encoding="{form.split()[1]}">_'.encode() + appended + b"</AppendedData>"
    (tmp_path / "cube.vtp").write_bytes(text + b"</VTKFile>")
    found = er.Mesh.load(tmp_path / "cube.vtp")
    assert found.holonomy().name == "C4"
    assert found.report().area == pytest.approx(6.0)


def test_other_files_stay_closed(tmp_path):
    """A material beside an OBJ is not read, a buffer beside a glTF neither."""
    needs("trimesh")
    (tmp_path / "paint.mtl").write_text("newmtl red\nmap_Kd paint.png\n")
    (tmp_path / "one.obj").write_text("mtllib paint.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert er.Mesh.load(tmp_path / "one.obj").count == 3
    data = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0) + struct.pack("<3I", 0, 1, 2)
    (tmp_path / "data.bin").write_bytes(data)
    gltf = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(data), "uri": "data.bin"}],
        "bufferViews": [{"buffer": 0, "byteLength": 36}, {"buffer": 0, "byteOffset": 36, "byteLength": 12}],
        "accessors": [
            {
                "bufferView": 0,
                "componentType": 5126,
                "count": 3,
                "type": "VEC3",
                "min": [0, 0, 0],
                "max": [1, 1, 0],
            },
            {"bufferView": 1, "componentType": 5125, "count": 3, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }
    (tmp_path / "one.gltf").write_text(json.dumps(gltf))
    with pytest.raises(
        ValueError, match=r"one.gltf cannot be read as .gltf: .* expected a whole file of that kind"
    ):
        er.Mesh.load(tmp_path / "one.gltf")


@pytest.mark.parametrize("kind", ["obj", "ply", "stl", "off", "glb", "gltf", "vtp", "vtk", "msh"])
@pytest.mark.parametrize(
    "text", [b"", b"\x00\x01\x02garbage", b"ply\nformat ascii 1.0\nelement vertex 3\n", b"OFF\n3 1 0\n"]
)
def test_broken_files_are_refused(kind, text, tmp_path):
    needs("trimesh", "meshio")
    (tmp_path / f"broken.{kind}").write_bytes(text)
    with pytest.raises(ValueError, match=r"broken\.\w+ (cannot be read as|has no triangles).*expected"):
        er.Mesh.load(tmp_path / f"broken.{kind}")


def test_files_that_are_no_meshes(tmp_path):
    with pytest.raises(
        ValueError, match=r"of the kind '.txt', expected one of .obj, .ply, .* er.Mesh\(vertices, faces\)"
    ):
        er.Mesh.load(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match=r"where there is no file, expected one of"):
        er.Mesh.load(tmp_path / "missing.ply")
    with pytest.raises(ValueError, match="path is 3, expected"):
        er.Mesh.load(3)


def test_without_readers_the_line_that_installs_them_is_told(tmp_path, monkeypatch):
    (tmp_path / "one.ply").write_text("ply\n")
    monkeypatch.setitem(sys.modules, "trimesh", None)
    with pytest.raises(ImportError, match=r'er.Mesh.load needs trimesh; pip install "erlangen\[mesh\]"'):
        er.Mesh.load(tmp_path / "one.ply")
