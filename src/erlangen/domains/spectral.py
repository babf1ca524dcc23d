"""What the harmonics of its samples give to a domain."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from jaxtyping import Complex, Float
from torch import Tensor

from erlangen.domains.spec import Field, KernelSpec
from erlangen.engines import Engine, Resolution
from erlangen.geometry import Frame
from erlangen.groups import Representation

if TYPE_CHECKING:
    from erlangen.harmonics import HarmonicTransform

ABOVE = "the harmonics of these samples are those of their cover, expected samples of er.Sphere()"
KNOTS = 8  # degrees at which a global kernel is free, unless told


class Spectral(ABC):
    """The harmonics that samples carry: kernels that reach all round, exact resampling, finer samples."""

    has_low_pass: bool = False  # whether `low_passed` can be asked

    @property
    @abstractmethod
    def transform(self) -> "HarmonicTransform":
        """From samples to coefficients and back."""

    @property
    def degrees(self) -> int:
        """The bandwidth L: fields of degrees l < L come back from the transform as they were."""
        return self.transform.degrees

    @abstractmethod
    def kernels(
        self, spec: KernelSpec, rho_in: Representation, rho_out: Representation, to: "Spectral | None" = None
    ) -> Any:
        """The kernels round the whole space that a layer's coefficients mix, from here to other samples."""

    @abstractmethod
    def engine(self, kernels: Any, to: "Spectral | None" = None) -> Engine:
        """What correlates with such kernels."""

    @abstractmethod
    def holds(self, field: str) -> bool:
        """Whether such fields are taken to be their harmonics, by which products and resampling go then."""

    @abstractmethod
    def resampled(self, field: Tensor, rho: Representation, to: "Spectral") -> Tensor:
        """A field at other samples, in the degrees that both hold."""

    @abstractmethod
    def finer(self, rho: Representation, factor: float, fibre: bool) -> Resolution:
        """`Domain.finer`, by harmonics."""

    def low_passed(self, field: Float[Tensor, "batch channel *space"]) -> Tensor:
        """`Domain.low_passed`, by harmonics."""
        raise AttributeError(f"low_passed: {ABOVE}")

    @abstractmethod
    def turned(self) -> "Spectral":
        """The harmonics of the same samples in other frames."""

    def read(self, u: Frame, f: Tensor, field: Field) -> tuple[Tensor, Tensor] | None:
        """The field ``(*batch, [fibre,] *space)`` at frames ``(p,)`` by harmonics, and what of it lies beyond
        them; None where it is interpolated as it is."""
        return None

    def mean(self, field: Float[Tensor, "*batch_space"]) -> Float[Tensor, "*batch"] | None:
        """The mean by harmonics; None where that by weights is as good."""
        return None

    def analyze(
        self, f: Float[Tensor, "*batch_space"], field: Field = "scalar"
    ) -> Complex[Tensor, "*batch l m"]:
        """A field's coefficients."""
        raise AttributeError(f"analyze: {ABOVE}")

    def synthesize(
        self, c: Complex[Tensor, "*batch l m"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch_space"]:
        """The way back."""
        raise AttributeError(
            f"synthesize: the harmonics of {self} are those of its cover, expected er.Sphere()"
        )

    def spectrum(
        self, f: Float[Tensor, "*batch_space"], field: Field = "scalar"
    ) -> Float[Tensor, "*batch l"]:
        """How much of the square each degree holds."""
        raise AttributeError(
            f"spectrum: the harmonics of {self} are those of its cover, expected er.Sphere()"
        )
