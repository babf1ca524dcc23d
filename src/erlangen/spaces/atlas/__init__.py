"""Manifolds that no single chart covers: the space, how its charts overlap, its samples. May import what
`spaces` may, and charts."""

from erlangen.spaces.atlas.atlas import Atlas

__all__ = ["Atlas"]
