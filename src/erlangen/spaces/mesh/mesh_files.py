"""Triangles out of files, by readers that others keep: trimesh, and meshio for what it does not read."""

import io
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from erlangen.spaces.mesh.vtp import read_vtp

INSTALL = 'pip install "erlangen[mesh]"'
TRIMESH = (".obj", ".ply", ".stl", ".off", ".glb", ".gltf")
MESHIO = (".vtu", ".vtk", ".msh", ".inp", ".mesh", ".bdf", ".xdmf")
KINDS = (*TRIMESH, *MESHIO, ".vtp")
KNOWN = ", ".join(KINDS)


def read(path: Path) -> tuple[Tensor, Tensor]:
    """Vertices ``(v, 3)`` in float64 and triangles ``(f, 3)``, as the file has them.

    Polygons are cut into triangles. Nothing is merged, and no other file is opened that this one names.

    Raises:
        ValueError: for a file that is not there, of another kind, broken, or without triangles.
        ImportError: where the readers are not installed.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ValueError(
            f"path is {str(path)!r}, of the kind {kind or 'none'!r}, expected one of {KNOWN}; "
            "or read it yourself: er.Mesh(vertices, faces)"
        )
    if not path.is_file():
        raise ValueError(
            f"path is {str(path)!r}, where there is no file, expected one of {KNOWN}; check the path"
        )
    try:
        found = _opened(path, kind)
    except ImportError as error:
        raise ImportError(f"er.Mesh.load needs {error.name}; {INSTALL}", name=error.name) from error
    except (SystemExit, Exception) as error:
        text = str(error) or type(error).__name__
        raise ValueError(
            f"{path.name} cannot be read as {kind}: {text}; expected a whole file of that kind: write it "
            "again, or take another kind, such as .ply"
        ) from error
    vertices, faces = (np.asarray(x) for x in found)
    if not len(faces):
        raise ValueError(f"{path.name} has no triangles, expected a surface; points and lines have none")
    return torch.tensor(vertices, dtype=torch.float64), torch.tensor(faces.astype(np.int64))


def _opened(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    if kind == ".vtp":
        return read_vtp(path)
    return _by_trimesh(path, kind[1:]) if kind in TRIMESH else _by_meshio(path)


def _by_trimesh(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """The scene's meshes side by side; no resolver, so that materials and buffers elsewhere stay closed."""
    import trimesh  # type: ignore[import-not-found]

    file = io.BytesIO(path.read_bytes())  # which has no name, by which others beside it could be found
    scene = trimesh.load_scene(
        file, file_type=kind, resolver=None, process=False, maintain_order=True, skip_materials=True
    )
    parts = [part for part in scene.dump() if isinstance(part, trimesh.Trimesh)]
    if not parts:
        return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=False)]
    return np.concatenate([part.vertices for part in parts]), np.concatenate(faces)


def _by_meshio(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Triangles, and squares cut in two."""
    import meshio  # type: ignore[import-not-found]

    mesh = meshio.read(path)
    faces = [np.zeros((0, 3), dtype=np.int64)]
    for block in mesh.cells:
        if block.type == "triangle":
            faces.append(block.data)
        elif block.type == "quad":
            faces += [block.data[:, [0, 1, 2]], block.data[:, [0, 2, 3]]]
    points = np.zeros((len(mesh.points), 3))
    points[:, : mesh.points.shape[1]] = mesh.points
    return points, np.concatenate(faces)
