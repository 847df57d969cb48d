"""The command ``cloudfront-ecs``; also ``python -m cloudfront_ecs``."""

from __future__ import annotations

import sys

from cloudfront_ecs.cli.command import command
from cloudfront_ecs.cli.ending import run_command


def main() -> None:
    """Run the command and exit with its code."""
    sys.exit(run_command(command))


if __name__ == "__main__":
    main()
