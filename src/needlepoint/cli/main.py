"""The command ``needlepoint``: its verbs, its exit codes and how every error ends."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from needlepoint import __version__
from needlepoint.errors import (
    EXIT_HITS,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    NeedlepointError,
    nearest,
)

EXIT_BUG = 70

#: verb: (module of needlepoint.cli, what it does)
VERBS = {
    "index": ("index", "Make folders of pictures searchable."),
    "search": ("search", "Find pictures and the place in each."),
    "similar": ("search", "Find pictures like one of the library."),
    "chat": ("chat", "Refine a search turn by turn."),
    "heat": ("heat", "Draw where in a picture a question is answered."),
    "serve": ("serve", "Open the page and the API on this machine."),
    "mcp": ("mcp", "Let assistants search the library."),
    "watch": ("index", "Index folders and follow their changes."),
    "info": ("info", "Show what the library holds."),
    "models": ("models", "List, choose and fetch encoders."),
    "methods": ("methods", "List search methods."),
    "train": ("train", "Train a model on pictures with captions."),
    "bench": ("bench", "Measure methods beside each other."),
    "doctor": ("info", "Check what is installed and the library's health."),
    "gc": ("care", "Remove what is gone from the library."),
    "snapshot": ("care", "Copy the library consistently."),
    "export": ("models", "Write an encoder as ONNX files."),
    "config": ("configure", "Show settings and where they come from."),
    "completion": ("configure", "Print shell completion."),
}
_SHARED = {"-q", "--quiet", "-v", "--verbose", "--offline"}


class Verbs(click.Group):
    """Verbs that are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"needlepoint.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, told) for verb, (_, told) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="needlepoint")
@click.option("--library", metavar="DIR", help="Folder of the library.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no notes on stderr.")
@click.option("-v", "--verbose", count=True, help="Say more on stderr.")
@click.option("--offline", is_flag=True, help="Never use the network.")
@click.pass_context
def cli(
    context: click.Context, library: str | None, quiet: bool, verbose: int, offline: bool
) -> None:
    """A picture library you can question, down to the smallest thing in a picture.

    \b
      needlepoint index ~/Pictures
      needlepoint search "red bicycle"
      needlepoint search ./duck.jpg
      needlepoint search 'scene.jpg#xywh=610,40,70,70'
      needlepoint "red bicycle"          the pictures below the current folder

    Every verb has --help with examples. Answers go to stdout, talk to stderr.

    \b
    Exit codes: 0 done, 1 nothing matches, 2 usage, 3 library missing or
    incompatible, 4 model not on this machine, 5 done but some pictures were
    unreadable, 130 interrupted.
    """
    from needlepoint.cli.door import Door

    context.ensure_object(Door).take(library, quiet, verbose, offline)


def arguments(given: Sequence[str]) -> list[str]:
    """The arguments with ``search --here`` put before a question that stands without a verb."""
    args = list(given)
    place = 0
    while place < len(args):
        if args[place] == "--library":
            place += 2
        elif args[place] in _SHARED or args[place].startswith("--library="):
            place += 1
        else:
            break
    first = args[place] if place < len(args) else None
    if first is None or first in VERBS or first in ("-h", "--help", "--version"):
        return args
    return [*args[:place], "search", "--here", *args[place:]]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command and leave with its exit code."""
    code = run(sys.argv[1:] if argv is None else argv)
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _silence()
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code. Errors are one message on stderr, never a trace."""
    from needlepoint.cli.output import ReaderGone
    from needlepoint.cli.talk import say

    args = arguments(argv)
    try:
        if args != list(argv):
            _suspect(args)
        done: Any = cli.main(args or ["--help"], prog_name="needlepoint", standalone_mode=False)
    except (ReaderGone, SystemExit):  # click leaves by SystemExit when nobody reads its help
        _silence()
        return EXIT_HITS
    except (click.Abort, KeyboardInterrupt):
        say("interrupted; nothing acknowledged is lost, run the same command again to resume")
        return EXIT_INTERRUPTED
    except click.ClickException as error:
        _show_usage(error)
        return EXIT_USAGE
    except NeedlepointError as error:
        say(f"error: {error}")
        return error.exit_code
    except Exception as error:
        if "-v" in args or "--verbose" in args:
            raise
        say(f"internal error: {type(error).__name__}: {error}")
        say("this is a bug; run again with -v to see where, and please report it")
        return EXIT_BUG
    return done if isinstance(done, int) else EXIT_HITS


def _suspect(args: Sequence[str]) -> None:
    """Point out a question of one word that is nearly a verb."""
    from needlepoint.cli.talk import say

    words = args[args.index("--here") + 1 :]
    close = nearest(words[0], VERBS)
    if close and " " not in words[0]:
        say(f"no verb is called {words[0]!r}{close} Searching for it as words.")


def _show_usage(error: click.ClickException) -> None:
    from needlepoint.cli.talk import say

    message = error.format_message()
    context = getattr(error, "ctx", None)
    if context is not None:
        message += f"\nSee: {context.command_path} --help"
    say(f"error: {message}")


def _silence() -> None:
    """Let nothing more fail on a stdout that is closed."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115
