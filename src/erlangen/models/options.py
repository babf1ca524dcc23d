"""The options of a network: one record, of which networks are built, saved and varied."""

from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar, Union

from erlangen.arguments import Count, Depth, Length, Oversampling, check_fields
from erlangen.domains import Domain
from erlangen.domains.spec import Field, PaddingMode, Resampling, Taps

Nonlinearity = Literal["relu", "silu", "gated", "low-passed", "polynomial"]
T = TypeVar("T")
PerLevel = Union[T, tuple[T, ...]]  # noqa: UP007  (which a TypeVar needs in Python 3.10)
WIDTH = 8


@dataclass(frozen=True)
class Options:
    """The options of a network.

    Those that say "per level" are one value for all resolutions, or a sequence with one for each, the finest
    first. None leaves a choice to the network; the `options` of a network that was built hold what it chose.

    Attributes:
        width: fields, per level; a single number is that of the finest, with twice as many at each next one.
            None for 8, or in training for 5, or 6 where the whole photograph has a class.
        depth: how often the resolution is halved; number of resolutions - 1.
        blocks: correlations, each with norm and nonlinearity, per level: in a `UNet` on the way down and
            again on the way up; in a `Classifier` added up in pairs. None for 1 of a `UNet` and 2 of a
            `Classifier`.
        kernel_size: of all correlations, in samples, odd, per level; 5 on lattices, unless told.
        radius: instead of it, in units of the space, per level; a single number is that of the finest level,
            and grows with the distance of samples. With neither, kernels on the sphere's grids are global.
        rings: radii at which kernels are free, per level, or for global kernels degrees; None for as many as
            the samples tell apart.
        taps: per level, the radial functions of kernels, as of `Correlation`: "rings", "solved" or "smooth";
            None for "rings".
        nonlinearity: per level, "relu" (on a finer fibre; on the sphere it aliases by per cents), "silu" (the
            same without a kink: it aliases ten times less, unless norms learn large weights), "gated"
            (exact at every angle of the plane, and with oversampling=6 to 1e-5 under rotations of the sphere)
            or "low-passed" (gates that look at smoothed fields, on lattices and the sphere: least aliasing),
            or "polynomial" (of degree 2; exact at every angle of the plane, and by harmonics under every
            rotation; fields of more than 4 times the size that norms make are scaled down to that).
        oversampling: how much finer the samples are for ReLUs and gates, per level: the fibre's, and on the
            sphere latitudes and longitudes too.
        low_pass: per level, whether an `er.nn.LowPass` follows each nonlinearity, on lattices: with smooth
            taps more exact between the angles of the lattice, at the price of fine detail.
        separable: mix channels at each point, then correlate each channel by itself: fewer parameters for the
            width, so take more of it, and larger kernels.
        padding_mode: as in `torch.nn.Conv2d`.
        projection: "mean" or "max" over the fibre; None for "mean" in a `UNet` and "max" in a `Classifier`.
        pooling: "mean" or "max" between the levels of a `Classifier`, None for "mean"; a `UNet` has none, it
            goes down by Gaussian means.
        resampling: "gaussian", or on lattices "band-limited", between levels; see `er.nn.Down`.
        lift_at: the level whose fields are the first to be functions of frames, 0 for the finest. Finer ones
            hold scalar fields, whose kernels are round: many of them cost little, and see no directions.
        exact_shifts: integer shifts along the axes that close commute too, exactly; needs sizes divisible by
            2^depth there, and where no axis closes padding_mode="circular".
        recompute: keep for the gradient what comes into each level only, and compute the rest again in the
            backward pass: less than half the memory, for a third more time.

    Raises:
        ValueError: for a value that is none of these, for kernel_size and radius both, and for a sequence
            that has not one value for each resolution.

    Example:
        >>> from dataclasses import replace
        >>> import erlangen as er
        >>> net = er.models.UNet(er.Plane(rotations=4), 3, 1, width=(4, 6, 8), depth=2, kernel_size=(5, 3, 3))
        >>> wider = replace(net.options, width=8, nonlinearity="gated")
        >>> er.models.UNet(net.domain, 3, 1, **vars(wider)).options.kernel_size
        (5, 3, 3)
    """

    width: PerLevel[Count] | None = None
    depth: Depth = 3
    blocks: PerLevel[Count] | None = None
    kernel_size: PerLevel[Count] | None = None
    radius: PerLevel[Length] | None = None
    rings: PerLevel[Count] | None = None
    taps: PerLevel[Taps] | None = None
    nonlinearity: PerLevel[Nonlinearity] = "relu"
    oversampling: PerLevel[Oversampling] = 2
    low_pass: PerLevel[bool] = False
    separable: bool = True
    padding_mode: PaddingMode = "zeros"
    projection: Literal["mean", "max"] | None = None
    pooling: Literal["mean", "max"] | None = None
    resampling: Resampling = "gaussian"
    lift_at: Depth = 0
    exact_shifts: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        for name, value in vars(self).items():
            if isinstance(value, tuple | list):
                object.__setattr__(self, name, tuple(value))  # JSON knows lists only
                if len(value) != self.depth + 1:
                    raise ValueError(
                        f"{name} has {len(value)} values, expected {self.depth + 1}, one for each resolution "
                        f"of depth={self.depth}; give one value for all, or another depth"
                    )
        if self.lift_at > self.depth:
            raise ValueError(
                f"lift_at is {self.lift_at}, expected one of the levels 0 to {self.depth}; "
                "take a larger depth"
            )
        even = [size for i in range(self.depth + 1) if (size := self.at("kernel_size", i) or 1) % 2 == 0]
        if even:
            raise ValueError(
                f"kernel_size is {even[0]}, expected an odd number, so that the kernel has a centre; take "
                f"{even[0] + 1}"
            )
        if self.kernel_size is not None and self.radius is not None:
            raise ValueError(
                f"kernel_size={self.kernel_size} and radius={self.radius}: expected one of them, "
                "kernel_size in samples or radius in units of the space; let the other be None"
            )

    @property
    def circular(self) -> bool:
        """Whether all axes close."""
        return self.padding_mode == "circular"

    @classmethod
    def named(cls, width: Any, depth: Any, options: dict[str, Any]) -> "Options":
        """The record of the arguments that a network was given.

        Raises:
            TypeError: for a name that is none of an option.
        """
        names = [field.name for field in fields(cls)]
        unknown = next((name for name in options if name not in names), None)
        if unknown is not None:
            raise TypeError(f"there is no option {unknown}=, expected some of {', '.join(names)}")
        return cls(width, depth, **options)

    def chosen(self, domain: Domain, **choices: Any) -> "Options":
        """These on a domain, with these choices for what is None.

        Raises:
            ValueError: for exact shifts where none are.
        """
        if self.exact_shifts and not self.circular and not any(domain.closed):
            raise ValueError(
                f'exact_shifts=True with padding_mode="{self.padding_mode}": what leaves the image is lost, '
                'expected padding_mode="circular"'
            )
        choices["width"] = WIDTH
        if self.radius is None:
            choices["kernel_size"] = domain.default_kernel_size
        choices |= BEFORE
        return replace(self, **{name: v for name, v in choices.items() if getattr(self, name) is None})

    def levels(self, domain: Domain) -> "list[Level]":
        """The resolutions, the finest first."""
        options, found, scale = self.chosen(domain, blocks=1), [], 1
        for level in range(self.depth + 1):
            found.append(options.level(level, domain, scale))
            if level < self.depth:
                coarse = domain.coarser()
                scale *= 1 if coarse is domain else 2  # images of any size are measured in their own pixels
                domain = coarse
        return found

    def at(self, name: str, level: int) -> Any:
        """What an option is at a level; a radius that is one for all, at the finest."""
        value = getattr(self, name)
        if isinstance(value, tuple):
            return value[level]
        return value * 2**level if name == "width" and value is not None else value

    def level(self, level: int, domain: Domain, scale: int) -> "Level":
        """One resolution, of a domain; `scale` is how many of the finest samples its samples are apart."""
        one = {name: self.at(name, level) for name in NAMES}
        if self.radius is not None and not isinstance(self.radius, tuple):
            one["radius"] *= scale
        kernel = {name: one[name] for name in ("kernel_size", "radius", "padding_mode", "rings", "taps")}
        rest = {field.name: one[field.name] for field in fields(Level) if field.name in one}
        return Level(domain, "scalar" if level < self.lift_at else domain.default_field, kernel, **rest)


@dataclass(frozen=True)
class Level:
    """One resolution of a network: `Options` there, each a single value.

    Attributes:
        domain: of its fields.
        field: their type.
        kernel: the arguments of a correlation that say how far it sees, and what beyond the edges.
        width, blocks, nonlinearity, oversampling, low_pass, separable: as of `Options`.
    """

    domain: Domain
    field: Field
    kernel: dict[str, Any]
    width: int
    blocks: int
    nonlinearity: Nonlinearity
    oversampling: float
    low_pass: bool
    separable: bool

    @property
    def is_circular(self) -> bool:
        """Whether all axes close."""
        return self.kernel["padding_mode"] == "circular"


NAMES = tuple(field.name for field in fields(Options))
BEFORE: dict[str, Any] = {"taps": "rings"}  # what was stored says nothing of these: they were no choice then
