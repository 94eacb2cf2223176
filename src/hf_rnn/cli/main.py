# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Entry point of the command line: find the command, run it, and turn errors into a message and an exit code."""

import logging
import os
import select
import sys
from argparse import SUPPRESS
from contextlib import nullcontext, suppress
from functools import partial
from importlib import import_module
from keyword import iskeyword
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from ..utils.errors import HfRnnError, nearest
from ..utils.output import WORDING, bars_are_seen, disable_progress_bars
from ..utils.processes import is_one_of_several, leave_processes
from . import commands
from .options import CommandParser, RawHelpFormatter, VersionAction, first_line_and_examples, is_first_process
from .wording import OptionsFormatter, as_options

HELP = ("-h", "--help")
QUIET = "--quiet"
# Exit code of a program that SIGPIPE ends.
_BROKEN_PIPE = 141


def command_names() -> tuple[str, ...]:
    """Return the names of the commands, which are the names of the files in `commands`.

    The file of a command whose name is a keyword of Python has an underscore at the end of its name: `import_.py`.
    """
    return tuple(sorted(module.name.rstrip("_") for module in iter_modules(commands.__path__)))


def main(arguments: list[str] | None = None) -> int:
    """Run a command, and return the exit code.

    Args:
        arguments: Name of the command and its arguments; None for those of the process.

    Returns:
        0 on success, 1 after an error, 2 for an unknown or missing command, 130 after an interrupt, 141 if the reader
        of the output has ended. A training run that receives SIGTERM ends the process with 143.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):
            # Characters that the encoding of a terminal or file lacks are escaped, instead of ending the command.
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    name = arguments[0] if arguments else HELP[0]
    if name in (*HELP, "--version"):
        return _show(name) if arguments else _show(name) or 2
    if name not in command_names():
        print(f"hf-rnn: {_no_command(name)}", file=sys.stderr)
        return 2
    return _run(name, arguments)


def _show(option: str) -> int:
    """Print the list of commands, or the version."""
    try:
        _parser(command_names()).parse_args([option])
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _no_command(name: str) -> str:
    names = command_names()
    near = nearest(name, names)
    hint = f": did you mean {near}?" if near else f"; the commands are {', '.join(names)}."
    return f"there is no command {name!r}{hint}"


def _run(name: str, arguments: list[str]) -> int:
    """Run the command with the given name, and return the exit code."""
    arguments, quiet = _without_quiet(arguments)
    if quiet or not bars_are_seen():
        disable_progress_bars()
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(OptionsFormatter())
    logging.basicConfig(handlers=[to_stderr], level=logging.WARNING)
    level = logging.WARNING if quiet else logging.INFO
    logging.getLogger("hf_rnn").setLevel(level if is_first_process() else logging.ERROR)
    command, options, before = _command(name), None, WORDING.set(as_options)
    try:
        try:
            of_command = command.parser()
            named = [each for each in of_command._actions if each.option_strings and each.help != SUPPRESS]
            flags = {action.dest for action in named if action.nargs == 0}
            WORDING.set(partial(as_options, options={action.dest for action in named}, flags=flags))
            options = _parser((name,), of_command).parse_args(arguments)[name]
        except SystemExit as ended:
            # argparse raises SystemExit after `--help`.
            return int(ended.code or 0)
        options.command_line = arguments[1:]
        if not is_first_process() and not (hasattr(command, "shares_work") and command.shares_work(options)):
            return 0
        if hasattr(command, "check"):
            command.check(options)
        with command.imports(options) if hasattr(command, "imports") else nullcontext():
            _register_models()
            command.run(options)
        if is_one_of_several():
            leave_processes()
        print(end="", flush=True)
    except KeyboardInterrupt as interrupt:
        # A training run raises KeyboardInterrupt with arguments after it has reported its own checkpoint.
        if not interrupt.args:
            print(f"hf-rnn: interrupted.{_how_to_go_on(command, options)}", file=sys.stderr)
        return 130
    except Exception as error:
        if isinstance(error, BrokenPipeError) and hasattr(select, "poll") and _reader_has_ended():
            if goes_on := _how_to_go_on(command, options):
                print(f"hf-rnn: the reader of the output has ended.{goes_on}", file=sys.stderr)
            return _BROKEN_PIPE
        if os.environ.get("HF_RNN_TRACEBACK"):
            raise
        print(f"hf-rnn {name}: {_message(error)}", file=sys.stderr)
        return 1
    finally:
        WORDING.reset(before)
    return 0


def _how_to_go_on(command: ModuleType, options: Any) -> str:
    """Return the sentence, after a space, that says how to continue a command; an empty text if there is none."""
    told = command.after_interrupt(options) if options is not None and hasattr(command, "after_interrupt") else ""
    return f" {told}" if told else ""


def _reader_has_ended() -> bool:
    """Return True if the reader of the standard output, such as `head`, has ended, and discard the buffer."""
    output, pipe = sys.stdout.fileno(), select.poll()
    pipe.register(output, 0)
    if not any(events & select.POLLERR for _, events in pipe.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), output)
    return True


def _without_quiet(arguments: list[str]) -> tuple[list[str], bool]:
    """Return the arguments without `--quiet`, an option of all commands, and True if it was there."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    kept = [argument for argument in arguments[:end] if argument != QUIET]
    return [*kept, *arguments[end:]], len(kept) < end


def _message(error: Exception) -> str:
    """Return the message of an error, with arguments written as options of the command."""
    if not isinstance(error, HfRnnError):
        return f"{type(error).__name__}: {error} (HF_RNN_TRACEBACK=1 shows the traceback)"
    return WORDING.get()(str(error))


def _command(name: str) -> ModuleType:
    return import_module(f"{commands.__name__}.{name}{'_' * iskeyword(name)}")


class _Parser(ArgumentParser):
    """Parser of the whole command line, which passes errors on to the parser of the command.

    Args:
        asked: Parser of the command; None if only the list of commands or the version is shown.
        settings: Further arguments of jsonargparse's `ArgumentParser`.
    """

    def __init__(self, asked: ArgumentParser | None, **settings: Any):
        super().__init__(exit_on_error=False, allow_abbrev=False, **settings)
        self.asked = asked

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if self.asked is None:
            raise HfRnnError(message) from ex
        # This parser names an option of a command as "push.repo_id".
        command = self.asked.prog.rpartition(" ")[2]
        self.asked.error(message.replace(f" {command}.", " "), ex)


def _parser(names: tuple[str, ...], asked: ArgumentParser | None = None) -> ArgumentParser:
    """Return the parser of the whole command line.

    Args:
        names: Names of the commands that it accepts.
        asked: Parser of the only command in `names`. None if only the list of commands or the version is shown: the
            parsers of the commands are then not built, since that of `train` imports torch.
    """
    told = {name: first_line_and_examples(_command(name).__doc__) for name in names}
    examples = "\n".join(line for _, lines in told.values() for line in lines)
    parser = _Parser(
        asked,
        prog="hf-rnn",
        description="Train recurrent networks on texts, use them, and share them.",
        epilog=f"examples:\n{examples}\n\nhf-rnn COMMAND --help lists all options of a command. With "
        "--quiet, a command shows no progress bars and no notes, only decisions, warnings and results.",
        formatter_class=RawHelpFormatter,
        parser_mode=asked.parser_mode if asked else "yaml",
    )
    parser.add_argument("--version", action=VersionAction)
    subcommands = parser.add_subcommands(
        required=False, dest="command", metavar="COMMAND", title="commands", description=None
    )
    for name, (description, lines) in told.items():
        of_command = asked or CommandParser()
        of_command.description = description
        of_command.epilog = "\n".join(("examples:", *lines)) if lines else None
        subcommands.add_subcommand(name, of_command, help=description)
        # jsonargparse sets "hf-rnn [options] NAME", but no command has options before its name.
        of_command.prog = f"hf-rnn {name}"
    return parser


def _register_models() -> None:
    """Register the models, which `import hf_rnn` does not do in the console script; see `hf_rnn_command`."""
    from .. import register_models

    register_models()


def entry() -> None:
    """Run the command line, and end the process with the exit code."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
