"""The verb bench: its commands, imported when they are run."""

from __future__ import annotations

import importlib

import click

#: command: (module of needlepoint.cli, name in it, what it does)
COMMANDS = {
    "run": ("bench_run", "run", "Measure methods on data with an encoder."),
    "list": ("bench_run", "list_all", "Suites, protocols and datasets."),
    "compare": ("bench_told", "compare", "Whether two runs differ."),
    "report": ("bench_told", "report", "One HTML page of a run: questions, answers, boxes."),
    "submit": ("bench_submit", "submit", "Files for the servers of CIRR and CIRCO."),
    "reproduce": ("bench_reproduce", "reproduce", "A paper's table, where its data is here."),
    "build": ("bench_build", "build", "Make benchmark sets."),
    "dense-set": ("bench_dense_set", "dense_set", "A Dense-Set of your own pictures."),
}


class Commands(click.Group):
    """Commands that are imported when they are run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"needlepoint.cli.{module}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, told) for name, (_, _, told) in COMMANDS.items()])


@click.group("bench", cls=Commands)
def bench() -> None:
    """Measure search methods beside each other, on generated and public data.

    \b
    Examples:
      needlepoint bench run
      needlepoint bench build needle crowd-2d SCENES/crowd-2d-dev
      needlepoint bench run --data SCENES --model builtin --out RESULTS
      needlepoint bench compare 'thing whole' 'thing lare' --out RESULTS
    """
