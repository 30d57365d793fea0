"""The guide says what is so: its commands parse, its questions and filters mean something."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from needlepoint import errors
from needlepoint.cli.config import FORMATS, KEYS
from needlepoint.cli.main import VERBS, arguments, cli
from needlepoint.query import Query
from needlepoint.where import FIELDS, compile_where

GUIDE = (Path(__file__).parent.parent / "docs" / "guide.md").read_text("utf-8")


def commands() -> list[list[str]]:
    """Arguments of every command line in the guide's shell blocks."""
    found = []
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL):
        for line in block.splitlines():
            line = re.sub(r'"\$\((.*)\)"', r"\1", line)
            words = shlex.shlex(line, posix=True, punctuation_chars="|<>")
            words.whitespace_split = True
            tokens = list(words)
            start = tokens.index("needlepoint") + 1
            ends = [n for n, token in enumerate(tokens) if n >= start and token in ("|", "<", ">")]
            found.append(tokens[start : min(ends, default=None)])
    return found


def parse(args: list[str]) -> tuple[str, click.Context]:
    """The verb of a command line and its parsed options; runs nothing."""
    args = arguments(args)
    group: click.Command = cli
    context = click.Context(cli)
    names = []
    while isinstance(group, click.Group) and args:
        command = group.get_command(context, args[0])
        if command is None:
            break
        names.append(args.pop(0))
        group = command
        if isinstance(group, click.Group) and (not args or args[0].startswith("-")):
            break
    return " ".join(names), group.make_context(names[-1], args, parent=context)


@pytest.mark.parametrize("args", commands(), ids=" ".join)
def test_commands_of_the_guide_parse(args: list[str]) -> None:
    _, context = parse(list(args))
    if where := context.params.get("where"):
        compile_where(where)
    question = context.params.get("question", ())
    if question and question != ("-",):
        Query.parse(" ".join(question))


def test_every_verb_field_format_setting_and_exit_code_is_in_the_guide() -> None:
    shown = {parse(list(args))[0].split()[0] for args in commands()}
    assert set(VERBS) <= shown
    for name in FIELDS:
        assert f"`{name}`" in GUIDE
    for name in FORMATS:
        assert f"| `{name}` |" in GUIDE
    for name in KEYS:
        assert f"| `{name}` | `NEEDLEPOINT_{name.upper()}`" in GUIDE
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert codes == {int(code) for code in re.findall(r"^\| (\d+) \|", GUIDE, re.MULTILINE)}


def test_questions_in_the_tables_mean_something() -> None:
    table = GUIDE.split("### The question language")[1].split("An operator stands")[0]
    questions = re.findall(r"`([^`…]+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE)))
    assert len(questions) > 15
    for question in questions:
        assert Query.parse(str(Query.parse(question))) == Query.parse(question)
