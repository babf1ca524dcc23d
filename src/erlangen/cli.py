"""The command line: train DIR, predict MODEL IMAGES, check MODEL, demo, doctor."""

import io
import sys
from collections.abc import Sequence

from erlangen import doctor
from erlangen.legible import legible


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it did what was asked."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal in ASCII shows names in any script
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        print("erlangen: stopped", file=sys.stderr)  # noqa: T201
        return 130
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and "memory" not in str(error):
            raise
        what = str(error).splitlines()[0] if str(error) else "no more memory"
        print(f"erlangen: {what}; take a smaller --batch, --crop, --size or --tile", file=sys.stderr)  # noqa: T201
        return 1
    except (ValueError, OSError, ImportError) as error:
        print(legible(f"erlangen: {error}"), file=sys.stderr)  # noqa: T201
        return 1


def _run(arguments: Sequence[str] | None) -> int:
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["doctor"]:  # which says what is missing, whatever is
        return doctor.examine()
    try:
        import tyro
    except ImportError as error:
        raise ImportError('the command line needs tyro and others; pip install "erlangen[train]"') from error
    from erlangen.commands import commands

    command = tyro.extras.subcommand_cli_from_dict(
        commands(arguments),
        args=arguments,
        prog="erlangen",
        description="Equivariant networks by cross-correlation: segment photographs, whichever way up.",
    )
    return command.run()
