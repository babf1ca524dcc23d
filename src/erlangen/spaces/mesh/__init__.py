"""Surfaces of triangles: gluing, lines, holonomy, reading, mending. May import what `spaces` may.

`mesh` is the space; `surface` what it is made of: `half_edges`, `triangles`, `fans` (the corners round
vertices), `straightest` (lines) and `carrying` (frames along them), `bundle` and `defect_holonomy`.
`mesh_fields` and `sightings` read fields between samples, `pooling` and `node_engine` sum over them,
`mesh_levels` makes domains of them; `mesh_report`, `mesh_repair`, `mesh_files` and `vtp` take meshes as they
come.
"""

from erlangen.spaces.mesh.mesh import Mesh

__all__ = ["Mesh"]
