"""Settings and where each comes from: flags > environment > project file > user file > defaults."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlepoint.errors import UsageError, nearest

PROJECT_FILE = "needlepoint.toml"
FORMATS = ("table", "paths", "json", "jsonl", "csv", "html")
DETAILS = ("1x", "2x")
MAX_K = 100_000


def read_k(value: str) -> int:
    """A number of pictures, 1 to 100000."""
    if not re.fullmatch(r"[0-9]+", value) or not 1 <= int(value) <= MAX_K:
        raise ValueError(f"a whole number from 1 to {MAX_K}")
    return int(value)


def read_workers(value: str) -> int:
    """A number of worker threads, 1 to 256."""
    if not re.fullmatch(r"[0-9]+", value) or not 1 <= int(value) <= 256:
        raise ValueError("a whole number from 1 to 256")
    return int(value)


def read_port(value: str) -> int:
    """A port to listen on, 0 to 65535; 0 is any free one."""
    if not re.fullmatch(r"[0-9]{1,5}", value) or int(value) > 65535:
        raise ValueError("a port from 0 to 65535")
    return int(value)


def read_token(value: str) -> str:
    """A token: 16 visible characters of ASCII or more."""
    if not re.fullmatch(r"[!-~]{16,500}", value):
        raise ValueError("16 visible characters or more, such as `openssl rand -hex 16` makes")
    return value


def read_min_score(value: str) -> str:
    """``auto`` or a finite number, kept as text."""
    if value != "auto" and not re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", value):
        raise ValueError("auto or a number such as 0.3")
    return value


def read_flag(value: str) -> bool:
    """A yes or no."""
    if value.casefold() in ("1", "true", "yes", "on"):
        return True
    if value.casefold() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("true or false")


def read_regions(value: str) -> str:
    """A region policy: none, dense, dense:R or windows:N."""
    if not re.fullmatch(r"none|dense(:[1-9][0-9]{0,3})?|windows:[1-9][0-9]{0,3}", value):
        raise ValueError("none, dense, dense:R (as dense:32) or windows:N (as windows:25)")
    return value


def read_seconds(value: str) -> float:
    """A number of seconds above 0, at most an hour."""
    if not re.fullmatch(r"\d+\.?\d*|\.\d+", value) or not 0 < float(value) <= 3600:
        raise ValueError("a number of seconds above 0 and at most 3600")
    return float(value)


def read_price(value: str) -> str:
    """Prices of a million tokens, read and written, as ``0.15,0.6``; kept as text."""
    number = r"(\d+\.?\d*|\.\d+)"
    if not re.fullmatch(rf"{number},{number}", value):
        raise ValueError("two prices of a million tokens, read and written, as 0.15,0.6")
    return value


def one_of(*names: str) -> Callable[[str], str]:
    """A reader that allows these names only."""

    def read(value: str) -> str:
        if value not in names:
            raise ValueError(f"one of {', '.join(names)}{nearest(value, names)}")
        return value

    return read


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: how it is read from text, its default and what it is for."""

    read: Callable[[str], Any]
    default: Any
    help: str
    secret: bool = False
    """Whether its value is never shown."""


KEYS: dict[str, Key] = {
    "library": Key(str, None, "folder of the library"),
    "model": Key(str, None, "address of the encoder to ask or index with"),
    "method": Key(str, None, "method to index and search with (needlepoint methods)"),
    "regions": Key(read_regions, None, "what is kept of places: none, dense[:R], windows:N"),
    "detail": Key(one_of(*DETAILS), None, "input size of indexing: 1x or 2x"),
    "workers": Key(read_workers, None, "threads that decode while indexing"),
    "k": Key(read_k, 20, "how many pictures an answer has"),
    "format": Key(one_of(*FORMATS), "table", "how answers are written"),
    "min_score": Key(read_min_score, None, "lowest score shown, or auto"),
    "host": Key(str, "127.0.0.1", "address that serve listens on"),
    "port": Key(read_port, 8417, "port that serve listens on; 0 for any free one"),
    "token": Key(read_token, None, "what every request to serve must show", secret=True),
    "chat": Key(str, None, "chat model of conversations: openai:BASE_URL#MODEL"),
    "chat_pictures": Key(read_flag, False, "let the chat model see pictures of the library"),
    "chat_seconds": Key(read_seconds, 60.0, "how long one request to a model may take"),
    "chat_price": Key(read_price, None, "price of a million tokens, read and written: 0.15,0.6"),
    "captioner": Key(str, None, "captioner on this machine: blip:FOLDER"),
    "generator": Key(str, None, "painter of pictures: openai:BASE_URL#MODEL or folder:DIR"),
    "offline": Key(read_flag, False, "never use the network"),
    "quiet": Key(read_flag, False, "no progress and no notes"),
}


_ELSEWHERE = ("NEEDLEPOINT_CHAT_KEY", "NEEDLEPOINT_MCP_TOKEN")
"""Variables that are read where they are used, and are no settings."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A value and where it comes from, in words."""

    value: Any
    origin: str


class Settings:
    """All settings of one run; warnings about unknown keys are in ``warnings``."""

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        user_file: Path | None = None,
    ) -> None:
        environment = os.environ if environment is None else environment
        self.warnings: list[str] = []
        self.values = {name: Setting(key.default, "default") for name, key in KEYS.items()}
        self.user_file = user_file or user_config_file()
        self.project_file = find_project_file(folder or Path.cwd())
        for file in (self.user_file, self.project_file):
            if file is not None and file.is_file():
                self._take_file(file)
        self._take_environment(environment)

    def __getitem__(self, name: str) -> Any:
        return self.values[name].value

    def choose(self, name: str, flag: Any) -> Any:
        """The flag when it was given, else the setting."""
        if flag is not None:
            self.values[name] = Setting(flag, "flag")
        return self.values[name].value

    def _take_file(self, file: Path) -> None:
        for name, value in read_toml(file).items():
            if name not in KEYS:
                close = nearest(name, KEYS)
                self.warnings.append(f"{file}: unknown setting {name!r} is ignored{close}")
                continue
            if isinstance(value, (dict, list)):
                raise UsageError(f"{file}: {name} must be a single value. Received: {value!r}")
            text = str(value).lower() if isinstance(value, bool) else str(value)
            self._set(name, text, str(file), file.parent)

    def _take_environment(self, environment: Mapping[str, str]) -> None:
        known = {f"NEEDLEPOINT_{name.upper()}": name for name in KEYS}
        for variable in sorted(environment):
            if variable in known:
                self._set(known[variable], environment[variable], variable, Path.cwd())
            elif variable.startswith("NEEDLEPOINT_") and variable not in _ELSEWHERE:
                close = nearest(variable, map(str.lower, known))
                close = re.sub("'.*'", lambda match: match.group().upper(), close)
                self.warnings.append(f"unknown variable {variable} is ignored{close}")
        if environment.get("HF_HUB_OFFLINE", "0").casefold() in ("1", "true", "yes", "on"):
            self.values["offline"] = Setting(True, "HF_HUB_OFFLINE")

    def _set(self, name: str, text: str, origin: str, folder: Path) -> None:
        try:
            value = KEYS[name].read(text)
        except ValueError as error:
            received = "a secret" if KEYS[name].secret else repr(text)
            raise UsageError(f"{origin}: {name} must be {error}. Received: {received}") from None
        if name == "library":
            value = str(folder / Path(value).expanduser())
        self.values[name] = Setting(value, origin)


def read_toml(file: Path) -> dict[str, Any]:
    """Top-level keys of a TOML file. Raises UsageError that names file and line."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{file} cannot be read as TOML: {error}") from None


def find_project_file(folder: Path) -> Path | None:
    """The ``needlepoint.toml`` of this folder or of the nearest one above it."""
    for place in (folder, *folder.parents):
        if (place / PROJECT_FILE).is_file():
            return place / PROJECT_FILE
    return None


def user_config_file() -> Path:
    """Where the user's own settings live."""
    from platformdirs import user_config_path

    return user_config_path("needlepoint", appauthor=False) / "config.toml"
