"""How a command ends: exit codes, and errors as one clear text on standard error."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from cloudfront_ecs.errors import CloudFrontEcsError, ConfigError, PluginError

if TYPE_CHECKING:
    from collections.abc import Sequence

OK = 0
FAILED = 1
USAGE = 2
REJECTED = 3
INTERRUPTED = 130


class ReaderGoneError(Exception):
    """Whoever read standard output has enough, as ``head`` has."""


class Verbs(click.Group):
    """A group whose verbs end well when their reader leaves; click would end them with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise ReaderGoneError from error


def run_command(  # noqa: PLR0911 - a table of endings is read in one piece
    command: click.Command, arguments: Sequence[str] | None = None
) -> int:
    """Run *command* and return its exit code; the endings stand here, one below the other.

    0 all done, 1 failed, 2 usage or configuration, 3 some input was rejected, 130
    interrupted.
    """
    try:
        result = command.main(
            list(arguments) if arguments is not None else None,
            prog_name="cloudfront-ecs",
            standalone_mode=False,
        )
    except click.exceptions.Abort:
        return INTERRUPTED
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE if isinstance(error, click.UsageError) else FAILED
    except (ConfigError, PluginError) as error:
        tell(str(error))
        return USAGE
    except CloudFrontEcsError as error:
        tell(str(error))
        return FAILED
    except ReaderGoneError:
        leave_closed_pipe()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    return result if isinstance(result, int) else OK


def tell(text: str) -> None:
    """Say what is wrong, a line for each problem."""
    for line in text.splitlines():
        click.echo(f"cloudfront-ecs: {line}", err=True)


def leave_closed_pipe() -> None:
    """Keep the interpreter from complaining about a reader that has gone."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
