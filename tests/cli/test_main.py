"""How every command fails: on one line, with an exit code that says why."""

from __future__ import annotations

import subprocess
import sys

import pytest

from labtune import __version__
from labtune.cli import main
from labtune.errors import DataError


@pytest.fixture
def failing(monkeypatch):
    """Let ``labtune tasks`` raise what the test wants."""

    def fail_with(error: BaseException) -> None:
        def work(arguments):
            raise error

        monkeypatch.setattr("labtune.cli.tasks.work", work)

    return fail_with


def test_an_expected_failure_is_one_line(failing, capsys):
    failing(DataError("data.csv:3: no label\n  give one"))
    assert main(["tasks"]) == 2
    assert capsys.readouterr() == ("", "error: data.csv:3: no label give one\n")


def test_debug_shows_the_traceback_above_it(failing, capsys, monkeypatch):
    monkeypatch.setenv("LABTUNE_DEBUG", "1")
    failing(DataError("no label"))
    assert main(["tasks"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert (lines[0], lines[-1]) == ("Traceback (most recent call last):", "error: no label")


def test_an_unexpected_failure_is_not_hidden(failing):
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["tasks"])


@pytest.mark.parametrize(
    ("interrupt", "told"),
    [
        (KeyboardInterrupt(), "interrupted\n"),
        (KeyboardInterrupt("go on with --resume"), "interrupted: go on with --resume\n"),
    ],
)
def test_an_interrupt_says_how_to_go_on(failing, capsys, interrupt, told):
    failing(interrupt)
    assert main(["tasks"]) == 130
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["taks"], "invalid choice: 'taks'"),
        (["show"], "the following arguments are required: TASK (see 'labtune show --help')"),
        (["run", "x", "--epoch", "3", "--colour"], "unrecognized arguments: --colour (see 'labtune --help')"),
        (["run", "x", "--processes", "0"], "--processes: must be a whole number, 1 or more, not '0'"),
        (["pretrain", "x", "--processes", "-1"], "--processes: must be a whole number, 1 or more, not '-1'"),
    ],
)
def test_a_wrong_word_is_one_line_too(words, told, capsys):
    assert main(words) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert told in error
    assert error.count("\n") == 1


def test_without_a_command_the_help_is_shown(capsys):
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("usage: labtune ")


def test_version(labtune):
    done = labtune("--version")
    assert (done.returncode, done.stdout) == (0, f"labtune {__version__}\n")


def test_a_reader_that_leaves_early_is_no_error():
    command = [sys.executable, "-c", "import sys; sys.stdin.readline(); from labtune.cli import main; sys.exit(main())"]
    process = subprocess.Popen(
        [*command, "plugins"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()  # before it may write
    process.stdin.write("\n")
    process.stdin.close()
    assert process.stderr.read() == ""
    assert process.wait() == 141
