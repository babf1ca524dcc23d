"""Matrix Lie groups: generators, one matrix for each component, and all that follows from them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from erlangen.arguments import Count, Length, checked
from erlangen.groups.compact import invariant_inner_product
from erlangen.groups.logarithm import matrix_log, near_log

TOLERANCE = 1e-8  # absolute: what is closer than this is the same
ASIDE = 1e-5
TERMS, NEGLIGIBLE = 40, 1e-5  # of a series
MIXING = 24  # random factors whose product is spread evenly over a compact group


@dataclass(frozen=True, eq=False, repr=False)
class MatrixGroup:
    r"""A Lie group of real d x d matrices: ``G = { exp(X) exp(Y) ... c }``.

    X, Y, ... are combinations of the generators, c one of the components. Elements are ``(..., d, d)``,
    composition is ``@``, and ``exp(v) = matrix_exp(sum_i v_i X_i)``. A finite group has no generators,
    and its components are its elements.

    Args:
        generators: the basis ``X_1, ..., X_n`` of the Lie algebra in which components are taken.
        components: a matrix in each connected component, the identity first; None for a connected group.
        name: for people.
        logarithm: ``(..., d, d)`` to ``(..., n)``, a closed form; None computes it.

    Raises:
        ValueError: for generators that depend on each other, or whose brackets they do not span; for
            components that do not keep the Lie algebra.

    Example:
        >>> import torch, erlangen as er
        >>> X = torch.zeros(1, 2, 2); X[0, 0, 0], X[0, 1, 1] = 1.0, -1.0
        >>> squeezes = er.groups.MatrixGroup(X, name="squeezes of the plane")
        >>> squeezes.is_compact, squeezes.is_unimodular
        (False, True)
    """

    generators: Float[Tensor, "n d d"]
    components: Float[Tensor, "c d d"] = None  # type: ignore[assignment]
    name: str = ""
    logarithm: Callable[[Tensor], Tensor] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        X = _matrices("generators", self.generators)
        components = torch.eye(X.shape[-1])[None] if self.components is None else self.components
        components = _matrices("components", components, X.shape[-1])
        if not len(components) or torch.linalg.matrix_rank(components).amin() < X.shape[-1]:
            raise ValueError("a component is singular, or there are none; expected matrices with an inverse")
        object.__setattr__(self, "generators", X)
        object.__setattr__(self, "components", components)
        object.__setattr__(
            self, "name", self.name or f"{len(X)}-dimensional group of {self.size} x {self.size}"
        )
        if len(X) and torch.linalg.matrix_rank(X.flatten(1), atol=TOLERANCE) < len(X):
            raise ValueError(f"the {len(X)} generators of {self} depend on each other, expected a basis")
        brackets = X[:, None] @ X - X @ X[:, None]
        rest = self._rest(brackets).amax() if len(X) else 0.0
        if rest > TOLERANCE:
            raise ValueError(
                f"the brackets of the generators of {self} lie outside of their span, by {rest:.2g}; "
                "expected a Lie algebra: add those brackets"
            )
        c = self.components[:, None]
        if len(X) and self._rest(c @ X @ torch.linalg.inv(c)).amax() > TOLERANCE:
            raise ValueError(f"a component of {self} moves the Lie algebra, expected c X c^-1 in its span")
        if not bool(self._outside(self.components[0]) <= TOLERANCE):
            raise ValueError(f"the first component of {self} is not that of the identity, expected it there")

    def __repr__(self) -> str:
        return self.name

    @property
    def dim(self) -> int:
        """The dimension n of the group."""
        return len(self.generators)

    @property
    def size(self) -> int:
        """The size d of its matrices."""
        return self.generators.shape[-1]

    def exp(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch d d"]:
        """The element ``exp(sum_i v_i X_i)``."""
        if v.shape[-1] != self.dim:
            raise ValueError(f"v has {v.shape[-1]} components, expected the {self.dim} of {self}")
        return torch.matrix_exp(self.hat(v))

    def log(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch n"]:
        """The components v, nearest to zero, with ``exp(v) = g``.

        Raises:
            ValueError: for matrices that are no ``exp(v)``: outside of the group, in another component, or
                where `exp` does not reach.
        """
        if g.shape[-2:] != (self.size, self.size):
            raise ValueError(
                f"g has shape {tuple(g.shape)}, expected matrices (..., {self.size}, {self.size}) of {self}"
            )
        v = self.log_or_nan(g)
        off = (self.exp(v) - g).abs().amax((-2, -1))
        reached = off <= (1e-6 if g.dtype == torch.float64 else 1e-3) * (1 + g.abs().amax((-2, -1)))
        if not bool(reached.all()):
            first = g[~reached][0] if g.dim() > 2 else g
            raise ValueError(
                f"{int((~reached).sum())} of the matrices are no exp(v) of {self}, the first being "
                f"{first.tolist()}; expected elements of its identity component"
            )
        return v

    def log_or_nan(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch n"]:
        """`log` of elements, nan for those that have none (where they have, see `log`)."""
        v = self._log(g)
        if len(self.components) == 1:
            return v
        off = (self.exp(v) - g).abs().amax((-2, -1), keepdim=True)[..., 0]
        return torch.where(off <= 1e-3 * (1 + g.abs().amax((-2, -1))[..., None]), v, math.nan)

    def _log(self, g: Tensor) -> Tensor:
        if self.logarithm is not None:
            return self.logarithm(g)
        X = matrix_log(g.detach())
        lost = ~X.isfinite().flatten(-2).all(-1)
        if bool(lost.any()):  # a turn by pi: start from an element aside
            aside = self.exp(ASIDE * torch.arange(1.0, self.dim + 1, dtype=torch.float64))
            X = torch.where(lost[..., None, None], matrix_log(g.detach() @ aside.to(g)), X)
        v = self.vee(X)
        lost = ~v.isfinite().all(-1, keepdim=True)
        v = torch.where(lost, 0.0, v)
        g = torch.where(lost[..., None], torch.eye(self.size).to(g), g)
        # Newton: exp(v + J^{-1} w) = exp(v) exp(w) to first order; two steps, so two derivatives are right
        for _ in range(2):
            w = self.vee(near_log(self.exp(-v) @ g))
            v = v + torch.linalg.lstsq(self.right_jacobian(v), w[..., None]).solution[..., 0]
        return torch.where(lost, math.nan, v)

    def hat(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch d d"]:
        """The matrix ``sum_i v_i X_i``."""
        return torch.einsum("...i,iab->...ab", v, self.generators.to(v))

    def vee(self, X: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch n"]:
        """The components of a matrix of the Lie algebra (of its nearest one)."""
        return X.flatten(-2) @ self._dual.to(X)

    def inverse(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch d d"]:
        """``g^{-1}``."""
        return torch.linalg.inv(g)

    def Ad(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch n n"]:
        """The adjoint representation: the matrix of ``X -> g X g^{-1}`` in components."""
        g = g[..., None, :, :]
        return self.vee(g @ self.generators.to(g) @ torch.linalg.inv(g)).mT

    def ad(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n"]:
        """The matrix of ``w -> [v, w]`` in components."""
        return torch.einsum("ijk,...i->...kj", self.structure_constants.to(v), v)

    @cached_property
    def structure_constants(self) -> Float[Tensor, "n n n"]:
        """``c[i, j, k]`` with ``[X_i, X_j] = sum_k c[i, j, k] X_k``."""
        X = self.generators
        return self.vee(X[:, None] @ X - X @ X[:, None])

    def right_jacobian(self, v: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n n"]:
        r"""``J = int_0^1 exp(-s ad_v) ds``: ``exp(v + J^{-1} w) = exp(v) exp(w)`` to first order in w.

        ``|det J|`` is the density of the left-invariant (Haar) measure in the components v.
        """
        n = self.dim
        block = torch.zeros(*v.shape[:-1], 2 * n, 2 * n, dtype=v.dtype, device=v.device)
        block[..., :n, :n] = -self.ad(v)
        block[..., :n, n:] = torch.eye(n, dtype=v.dtype, device=v.device)
        return torch.matrix_exp(block)[..., :n, n:]  # exp [[-ad, 1], [0, 0]] has the integral in its corner

    def right_jacobian_times(
        self, v: Float[Tensor, "*batch n"], w: Float[Tensor, "n k"]
    ) -> Float[Tensor, "*batch n k"]:
        """``J w`` for a few w, to about 1e-5, by its series: good enough for steps towards zero."""
        A, term = -self.ad(v), w.to(v).expand(*v.shape[:-1], -1, -1)
        total = term
        for k in range(2, TERMS):
            term = A @ term / k
            total = total + term
            if float(term.abs().amax() if term.numel() else 0.0) < NEGLIGIBLE:
                break
        return total

    def modular(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch"]:
        r"""``Delta(g) = |det Ad(g)|^{-1}``: the left-invariant measure has ``mu(A g) = Delta(g) mu(A)``."""
        return 1 / torch.linalg.det(self.Ad(g)).abs()

    @cached_property
    def is_unimodular(self) -> bool:
        """Whether the left-invariant measure is right-invariant as well."""
        traces = self.structure_constants.diagonal(dim1=1, dim2=2).sum(-1)
        return bool(
            (traces.abs() < TOLERANCE).all() and (self.modular(self.components) - 1).abs().max() < TOLERANCE
        )

    @cached_property
    def is_compact(self) -> bool:
        """Whether the group is bounded: whether it leaves an inner product of R^d alone."""
        return invariant_inner_product(self.generators, self.components) is not None

    @cached_property
    def principal_radius(self) -> float:
        r"""The length |v| below which `exp` is one-to-one and `log` undoes it.

        It is pi over the largest imaginary part of an eigenvalue of ``sum_i v_i X_i``, |v| = 1.
        """
        if self.dim == 0:
            return math.inf
        generator = torch.Generator().manual_seed(0)
        one = torch.eye(self.dim, dtype=torch.float64)
        v = torch.cat([one, torch.randn(512, self.dim, generator=generator, dtype=torch.float64)])
        fastest = 0.0
        for spread in (0.3, 0.1, 0.03, 0.01, 0.003):
            v = v / v.norm(dim=-1, keepdim=True)
            turns = torch.from_numpy(np.abs(np.linalg.eigvals(self.hat(v).numpy()).imag).max(-1))
            fastest = max(fastest, float(turns.max()))
            best = v[turns.topk(min(8, len(v))).indices]
            noise = torch.randn(len(best), 64, self.dim, generator=generator, dtype=torch.float64)
            v = torch.cat([best, (best[:, None] + spread * noise).flatten(0, 1)])
        return math.pi / fastest if fastest > math.sqrt(TOLERANCE) else math.inf

    @checked
    def sample(
        self, count: Count, *, radius: Length | None = None, seed: int = 0
    ) -> Float[Tensor, "count d d"]:
        """Random elements, by the Haar measure.

        Args:
            count: how many.
            radius: only ``exp(v) c`` with ``|v| < radius``; None for all of a compact group.
            seed: of the random numbers.

        Raises:
            ValueError: for a group that is not compact, without a radius.
        """
        generator = torch.Generator().manual_seed(seed)
        if radius is None and not self.is_compact:
            raise ValueError(f"{self} is not compact and has no even distribution; give radius=")
        if radius is not None and self.dim:
            return self.exp(self._ball(count, radius, generator)) @ self._any_component(count, generator)
        g = self._any_component(count, generator)
        for _ in range(MIXING if self.dim else 1):
            v = math.pi * torch.randn(count, self.dim, generator=generator, dtype=torch.float64)
            g = self.exp(v) @ self._any_component(count, generator) @ g
        return g

    def defect(self, g: Float[Tensor, "*batch d d"]) -> Float[Tensor, "*batch"]:
        """How far matrices are from the elements ``exp(v) exp(w) c``; inf where they are far."""
        off = torch.full(g.shape[:-2], math.inf, dtype=torch.float64, device=g.device)
        generator = torch.Generator().manual_seed(0)
        some = torch.randn(8, self.dim, generator=generator, dtype=torch.float64)
        some = torch.cat([torch.zeros(1, self.dim), some]) if self.dim else some[:1]
        for c in self.components:
            for step in self.exp(some):  # exp of the Lie algebra need not reach all
                far = off > TOLERANCE
                if not bool(far.any()):
                    return off
                off[far] = torch.minimum(off[far], self._outside(step @ torch.linalg.inv(c) @ g[far]))
        return off

    def _outside(self, g: Tensor) -> Tensor:
        """How far the logarithm lies outside of the Lie algebra."""
        if self.dim == 0:
            return (g - torch.eye(self.size).to(g)).abs().amax((-2, -1))
        rest = self._rest(matrix_log(g))
        return torch.where(rest.isfinite(), rest, math.inf)

    def _any_component(self, count: int, generator: torch.Generator) -> Tensor:
        return self.components[torch.randint(len(self.components), (count,), generator=generator)]

    def _ball(self, count: int, radius: float, generator: torch.Generator) -> Tensor:
        """Components in a ball, by the density |det J|: rejected from even ones."""
        found: list[Tensor] = []
        most = 0.0
        while sum(map(len, found)) < count:
            direction = torch.randn(4 * count + 256, self.dim, generator=generator, dtype=torch.float64)
            u, keep = torch.rand(2, len(direction), generator=generator, dtype=torch.float64)
            v = radius * u[:, None] ** (1 / self.dim) * direction / direction.norm(dim=-1, keepdim=True)
            density = torch.linalg.det(self.right_jacobian(v)).abs()
            most = most or 1.2 * float(density.max())
            found.append(v[keep * most < density])
        return torch.cat(found)[:count]

    @cached_property
    def _dual(self) -> Tensor:
        """``(d d, n)``: components of a matrix of the Lie algebra."""
        return torch.linalg.pinv(self.generators.flatten(1))

    def _rest(self, X: Tensor) -> Tensor:
        """How far matrices lie outside of the Lie algebra."""
        return (X - self.hat(self.vee(X))).abs().amax((-2, -1))


def _matrices(name: str, x: object, size: int | None = None) -> Float[Tensor, "k d d"]:
    """A stack of square matrices of finite numbers, in float64."""
    given = torch.as_tensor(x, dtype=torch.float64)
    there = f"{size}, {size}" if size else "d, d"
    if given.dim() != 3 or given.shape[1] != given.shape[2] or (size and given.shape[1] != size):
        raise ValueError(
            f"the {name} have shape {tuple(given.shape)}, expected a stack of square matrices (k, {there}); "
            "one by itself is X[None]"
        )
    if not bool(given.isfinite().all()):
        raise ValueError(f"the {name} hold nan or infinite numbers, expected finite ones")
    return given
