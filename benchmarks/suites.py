"""What is measured: suites of parts. A new part is a line here and a function of its name in the module."""

from typing import NamedTuple

from benchmarks.environments import Peer


class Part(NamedTuple):
    """A table of the page.

    Attributes:
        title: its heading.
        says: what the numbers are, in a sentence or two.
    """

    title: str
    says: str


class Suite(NamedTuple):
    """Parts that one command measures, each in a process of its own.

    Attributes:
        module: where there is a function of each part's name; it takes an `Effort` and returns rows.
        parts: by name.
        peer: the other library that they need.
    """

    module: str
    parts: dict[str, Part]
    peer: Peer | None = None


REACHED = (
    "Processor time of one call, one thread, float32. GFLOP and operations are counted, not timed. "
    "*Of conv2d* is the speed beside what a plain convolution reached in the same process, *of the roofline* "
    "the least time in which torch could do these operations one by one, of the time taken."
)
SUITES = {
    "library": Suite(
        "benchmarks.library",
        {
            "plane": Part("Hot paths on the plane", REACHED),
            "spaces": Part("Hot paths on other spaces", REACHED),
            "growth": Part(
                "Growth",
                "Exponents of the time of a forward and its gradient in one size, all others kept: least "
                "squares over all steps, and the last step. Beside them those of the flops.",
            ),
            "start": Part(
                "Before the first call",
                "Processor time in fresh processes, median of several: the import beyond torch and numpy, "
                "and what builds a domain with its layer.",
            ),
        },
    ),
    "plain": Suite(
        "benchmarks.plain",
        {
            "layers": Part(
                "Layers beside `Conv2d`",
                "A regular 5 x 5 correlation, N = 8, against the dense convolution of as many values: times "
                "of a forward and its gradient, as ratios. Below 1 ours is the faster.",
            ),
            "training": Part(
                "A training step beside the plain U-Net's",
                "Gradient and optimizer as `erlangen train` takes them, ratios of times, ours / the plain "
                "U-Net of 488,001 parameters. One thread by processor time, two by the wall's.",
            ),
            "inference": Part(
                "Inference beside the plain U-Net's",
                "Ratios of times, ours / plain, and / the plain one with its norms folded into its "
                "convolutions. Through `predict` both are called as `er.predict(model, image)`.",
            ),
            "counts": Part(
                "Operations and memory beside the plain U-Net's",
                "Of a forward and its gradient, without loss and optimizer: operations that compute or copy, "
                "bytes kept for the gradient, most bytes of tensors alive; and the peak of a training step "
                "in a process of its own.",
            ),
            "lifted": Part(
                "What lifting costs in memory",
                "Bytes kept for the gradient by networks on 8 angles, against scalar ones of as many "
                "channels; and the peak of lift, ReLU and projection at inference, 16 angles, 32 channels, "
                "against a plain convolution and ReLU of 32.",
            ),
        },
    ),
    "escnn": Suite(
        "benchmarks.beside_escnn",
        {
            "training": Part(
                "A training step beside escnn's",
                "The same U-Net as its authors would write it: C8, width 5, two blocks of 3 x 3, depth 3. "
                "Ratios of processor times, ours / escnn, one thread.",
            ),
            "inference": Part(
                "Inference beside escnn's",
                "escnn's filters are cached by `eval()`, ours by `er.freeze` where there is one. Ratios of "
                "processor times, ours / escnn, one thread.",
            ),
            "peaks": Part(
                "Memory beside escnn's",
                "Peak resident memory above that of the process before, each in a process of its own; bytes "
                "kept for the gradient and operations as counted.",
            ),
        },
        Peer("escnn", ("escnn==1.0.11", "numpy<2"), tools=("gfortran",)),
    ),
    "torch_harmonics": Suite(
        "benchmarks.beside_torch_harmonics",
        {
            "transforms": Part(
                "Beside torch-harmonics",
                "Gauss-Legendre grids of L x 2 L, 16 channels. Ratios of processor times, theirs / ours: "
                "above 1 ours is the faster. *Difference* is that of the coefficients, relative.",
            ),
            "local": Part(
                "Local kernels beside torch-harmonics",
                "Isotropic kernels of equal radius on the same grid, 16 channels to 16: ours beside their "
                "DISCO convolution, sparse in torch and, where it was built, by their own operator.",
            ),
        },
        Peer("torch_harmonics", ("torch-harmonics==0.9.3",), options=("--no-deps",)),
    ),
    "e3nn": Suite(
        "benchmarks.beside_e3nn",
        {
            "volumes": Part(
                "Volumes beside e3nn",
                "Voxels, kernels of 5, scalars and vectors in and out. Ratios of processor times, e3nn / "
                "ours: above 1 ours is the faster.",
            ),
            "sphere": Part(
                "The sphere beside e3nn",
                "From samples to coefficients and back, all degrees below L, 16 channels, each on its own "
                "grid for them: theirs has 2 L latitudes, ours L. Ratios as above.",
            ),
        },
        Peer("e3nn", ("e3nn==0.6.0",)),
    ),
    "gpu": Suite(
        "benchmarks.gpu",
        {
            "training": Part(
                "A training step on a GPU",
                "Milliseconds on the wall, launched kernel by kernel and recorded as one graph, as "
                "`erlangen train --device cuda` takes it.",
            )
        },
    ),
}
