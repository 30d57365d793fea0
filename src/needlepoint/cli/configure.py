"""The verbs about the command itself: config and completion."""

from __future__ import annotations

from dataclasses import replace

import click

from needlepoint.cli import output
from needlepoint.cli.config import KEYS
from needlepoint.cli.door import Door, common
from needlepoint.errors import EXIT_HITS
from needlepoint.results import dumps


@click.group("config")
def config() -> None:
    """Show settings and where they come from.

    Settings are read, the first that is there wins, from flags, from variables
    NEEDLEPOINT_LIBRARY, NEEDLEPOINT_K and so on, from the nearest needlepoint.toml in this folder
    or above, from the user's config.toml, and from defaults.
    """


@config.command("show")
@click.option("--origin", is_flag=True, help="Also say where each value comes from.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@common
def show(door: Door, origin: bool, as_json: bool) -> int:
    """Print every setting.

    \b
    Examples:
      needlepoint config show --origin
      NEEDLEPOINT_K=5 needlepoint config show --json
    """
    values = door.settings.values
    if values["library"].value is None:
        values["library"] = type(values["library"])(str(door.library_path), "default")
    for name, key in KEYS.items():
        if key.secret and values[name].value is not None:
            values[name] = replace(values[name], value="(not shown)")
    if as_json:
        told = {
            name: {"value": setting.value, "origin": setting.origin} if origin else setting.value
            for name, setting in values.items()
        }
        output.write_json(told)
        return EXIT_HITS
    shown = {name: _toml(name, setting.value) for name, setting in values.items()}
    width = max(map(len, shown.values()))
    for name, setting in values.items():
        comment = f"  # {setting.origin}; {KEYS[name].help}" if origin else ""
        output.write(output.raw((shown[name].ljust(width) + comment).rstrip() + "\n"))
    if origin:
        files = f"# user file: {door.settings.user_file}\n"
        files += f"# project file: {door.settings.project_file or 'none'}\n"
        output.write(output.raw(files))
    return EXIT_HITS


def _toml(name: str, value: object) -> str:
    """The setting as a line of a configuration file; a comment when it is not set."""
    if value is None:
        return f"# {name} is not set"
    return f"{name} = {dumps(value)}"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@common
def completion(door: Door, shell: str) -> int:
    """Print the completion script of a shell.

    \b
    Examples:
      eval "$(needlepoint completion bash)"                          # in ~/.bashrc
      eval "$(needlepoint completion zsh)"                           # in ~/.zshrc
      needlepoint completion fish > ~/.config/fish/completions/needlepoint.fish
    """
    from click.shell_completion import get_completion_class

    from needlepoint.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None  # click knows the three shells the argument allows
    script = kind(cli, {}, "needlepoint", "_NEEDLEPOINT_COMPLETE").source()
    output.write(output.raw(script + "\n"))
    return EXIT_HITS
