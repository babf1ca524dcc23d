"""The conventions that everything here keeps: a name and a statement each, and a test of the same name.

``python -m erlangen.conventions`` prints the page docs/conventions.md.
"""

CONVENTIONS = {
    "action": "A symmetry g moves a field by (g f)(x) = f(g^-1 x), so that g (h f) = (g h) f.",
    "correlation": (
        "Layers correlate, (k * f)(x) = int k(y - x) f(y) dy. Only `er.convolve` flips the kernel, and it "
        "exists only on R^n."
    ),
    "images": (
        "Columns of an image are x to the right, rows are -y (y points up). Turns are active and counter-"
        "clockwise: by +90 degrees is torch.rot90(f, 1, (-2, -1))."
    ),
    "volumes": (
        "Array axis i of a volume is coordinate i, spacing[i] its step. A positive turn about axis i takes "
        "axis i + 1 towards axis i + 2, cyclically."
    ),
    "centre": "Images turn about their centre, between pixels where a size is even; every size is exact.",
    "fibre": (
        "Index i of a regular field is the frame turned by 2 pi i / N. The turn by 2 pi / N acts by (g "
        "F)(x, i) = F(g^-1 x, i - 1), a roll by +1."
    ),
    "reflections": (
        "D_N has 2N entries: index s N + r is r^r m^s with m: y -> -y, and it acts by multiplication from "
        "the left, so a flip also reverses the turns."
    ),
    "matrices": (
        "Group elements are matrices (..., d, d) and composition is @. A Lie group is its generators, and "
        "its exponential map is torch.matrix_exp."
    ),
    "coordinates": (
        "Points, tangent vectors and frames are in the coordinates of `.points`: x, y, z on the sphere. "
        "frame(p) is (..., m, n) with orthonormal columns; kernels see frame components; base points come "
        "first."
    ),
    "transport": (
        "Transport follows the geodesic: round the octant of the unit sphere, of area pi / 2, a vector "
        "turns by pi / 2. A projection onto the tangent space is never called transport."
    ),
    "quadrature": (
        "Weights are real quadratures: refining a grid converges instead of rescaling. The sphere has area "
        "4 pi, the fibre SO(2) 2 pi, a finite fibre its count."
    ),
    "pixels": "Pixels have unit spacing unless said otherwise; kernel_size = k means radius k / 2 pixels.",
    "sphere": (
        "The north pole (0, 0, 1) is p0; row 0 of a grid is nearest to it, and longitude runs eastward from"
        " x. Zonal kernels act on spherical harmonics by lambda_l = 2 pi int kappa(t) P_l(t) dt."
    ),
    "harmonics": (
        "Y_lm are orthonormal, with the phase of Condon and Shortley; analyze gives int conj(Y_lm) f dmu for "
        "m >= 0. D^l_mn = e^{-i m alpha} d^l_mn(beta) e^{-i n gamma} of active zyz rotations moves them, "
        "(g f)_l = D^l(g) f_l; spin s is the column n = -s."
    ),
    "moebius": (
        "The strip is flat: axis 0 runs along the band and is glued with a mirror, axis 1 across it. The "
        "holonomy group is Z2: reflection of axis 1, and a regular field has two values."
    ),
    "dtypes": (
        "float32 in, float32 out. Tables are made in float64 and cast at use; `.points` and `.weights` are "
        "float64."
    ),
    "domains": (
        "Layers hold their domain, which never changes and owns the tables that all layers share; none is "
        "in a state_dict. deepcopy keeps the domain, pickle stores its recipe."
    ),
}


def as_markdown() -> str:
    """The page of the documentation."""
    lines = [
        "# Conventions",
        "",
        "Each is tested by the test of its name in `tests/test_conventions.py`.",
        "",
    ]
    lines += [f"- **{name}**: {statement}" for name, statement in CONVENTIONS.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")  # noqa: T201
