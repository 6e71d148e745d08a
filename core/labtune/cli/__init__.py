"""The command line. A command's file imports what is heavy only when the command works."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

import labtune
from labtune.cli import (
    audit,
    check,
    compare,
    diff,
    evaluate,
    explain,
    export,
    new_plugin,
    plan,
    plugins,
    predict,
    pretrain,
    report,
    run,
    search,
    show,
    tasks,
)
from labtune.cli.launch import is_first_process, is_worker, wait_for_first
from labtune.errors import LabtuneError

COMMANDS = (
    tasks, show, audit, plan, run, report, diff, compare, search, pretrain, predict, evaluate, explain, export,
    plugins, check, new_plugin,
)  # fmt: skip

# Exit codes: 1 for a check that does not hold, 2 for an error that the user can mend, 128 + signal as shells have it.
USER_ERROR = 2
INTERRUPTED = 130
BROKEN_PIPE = 141


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints look like every other error."""

    def error(self, message: str) -> NoReturn:
        raise LabtuneError(f"{message} (see '{self.prog} --help')")


def build_parser() -> argparse.ArgumentParser:
    """Make the parser with all commands; each sets ``work``, from the parsed arguments to an exit code."""
    parser = _Parser(prog="labtune", description="Fine-tune pre-trained encoders, with numbers you can defend.")
    parser.add_argument("--version", action="version", version=f"labtune {labtune.__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND")
    for command in COMMANDS:
        command.add(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code; an expected failure is told on one line."""
    try:
        return _work(argv)
    except LabtuneError as error:
        _explain(f"error: {' '.join(str(error).split())}")
        return USER_ERROR
    except KeyboardInterrupt as interrupt:
        if is_first_process():
            _explain(f"interrupted: {interrupt}" if str(interrupt) else "interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # the reader, such as head, has seen enough; the flush at exit must not complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:  # of the file system: no permission, no space
        _explain(f"error: {error.filename or 'a file cannot be read or written'}: {error.strerror or error}")
        return USER_ERROR


def _work(argv: Sequence[str] | None) -> int:
    _show_logs()
    parser = build_parser()
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = parser.parse_args(words, argparse.Namespace(argv=words))
    if "work" not in arguments:
        parser.print_help()
        return 0
    code: int = arguments.work(arguments)
    sys.stdout.flush()
    if is_worker():
        from labtune.processes import leave

        leave()
    return code


def _show_logs() -> None:
    """Tell on standard error what labtune and its plugins log, and of other libraries only warnings."""
    if logging.getLogger().handlers:
        return
    handler = logging.StreamHandler()
    handler.addFilter(lambda record: record.name.startswith("labtune") or record.levelno >= logging.WARNING)
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(message)s")


def _explain(line: str) -> None:
    wait_for_first()
    if os.environ.get("LABTUNE_DEBUG") == "1":
        traceback.print_exc()
    print(line, file=sys.stderr)
