"""Where a model is served: addresses, keys, and what goes wrong on the way there."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

from needlepoint.errors import ModelUnavailable, UsageError

KEY = "NEEDLEPOINT_CHAT_KEY"
"""Environment variable with the key of the server; there is no other way to give one."""

_FORM = re.compile(r"openai:(https?://[^#\s]+)#(\S+)")
_HOME = "api.openai.com"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model behind an OpenAI-compatible server, as vLLM, llama.cpp and Ollama offer it.

    ``url`` is the base that ends in ``/v1``; ``seconds`` bounds one request, ``retries`` how often
    one that failed for no lasting reason is made again (with growing pauses).

    Example:
        >>> Endpoint.parse("openai:http://127.0.0.1:11434/v1#gemma3:4b").model
        'gemma3:4b'
    """

    url: str
    model: str
    seconds: float = 60.0
    retries: int = 2

    @classmethod
    def parse(cls, text: str, *, seconds: float = 60.0) -> Endpoint:
        """Read ``openai:BASE_URL#MODEL``.

        Raises:
            UsageError: another form.
        """
        found = _FORM.fullmatch(text.strip())
        if found is None or not urlsplit(found[1]).hostname:
            raise UsageError(
                f"a served model is openai:BASE_URL#MODEL, such as "
                f"openai:http://127.0.0.1:11434/v1#gemma3:4b. Received: {text!r}."
            )
        return cls(found[1].rstrip("/"), found[2], seconds)

    def __str__(self) -> str:
        """The text that :meth:`parse` reads."""
        return f"openai:{self.url}#{self.model}"

    @property
    def local(self) -> bool:
        """Whether the server is on this machine."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"

    def client(self) -> Any:
        """A client of the ``openai`` package that knows nothing but this endpoint and its key.

        Raises:
            ModelUnavailable: the package is missing, or offline is set and the server is elsewhere.
        """
        offline = os.environ.get("NEEDLEPOINT_OFFLINE", "").casefold()
        if not self.local and offline not in ("", "0", "false", "no"):
            raise ModelUnavailable(
                f"{self} is not on this machine, and offline is set. Serve a model here, or leave "
                "out --offline."
            )
        try:
            import openai
        except ImportError as error:
            raise ModelUnavailable(
                f"{self} needs the package openai. Run: pip install 'needlepoint[chat]'"
            ) from error
        key = os.environ.get(KEY)
        if key is None and urlsplit(self.url).hostname == _HOME:
            key = os.environ.get("OPENAI_API_KEY")  # a key goes to nobody but its issuer
        client = openai.OpenAI(
            base_url=self.url,
            api_key=key or "none",
            timeout=self.seconds,
            max_retries=self.retries,
        )
        client.organization = client.project = None  # nor does what the environment says of them
        return client

    def call(self, request: Callable[[], T]) -> T:
        """What a request returns.

        Raises:
            ModelUnavailable: it failed for good; the message says what to do.
        """
        import openai

        try:
            return request()
        except openai.APITimeoutError as error:
            raise ModelUnavailable(
                f"{self} did not answer within {self.seconds:g} seconds, {self.retries + 1} times. "
                "Give it more time, or choose a smaller model."
            ) from error
        except openai.APIConnectionError as error:
            raise ModelUnavailable(
                f"{self} cannot be reached ({error.__cause__ or error}). Is the server running?"
            ) from error
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            raise ModelUnavailable(
                f"{self} refuses the key ({error.status_code}). Set the environment variable {KEY}."
            ) from error
        except openai.NotFoundError as error:
            raise ModelUnavailable(
                f"{self}: not found (404). Check the base URL, which ends in /v1, and the name of "
                "the model."
            ) from error
        except openai.APIStatusError as error:
            told = " ".join(str(error.message).split())[:200]
            raise ModelUnavailable(f"{self} answers {error.status_code}: {told}") from error
        except (openai.OpenAIError, ValueError) as error:  # what is no JSON though it says so
            raise ModelUnavailable(
                f"{self} answers what is no reply of an OpenAI-compatible server "
                f"({type(error).__name__}). Check the base URL."
            ) from error


@dataclass(slots=True)
class Spent:
    """What a model has cost so far; ``kept`` counts replies that came from the cache."""

    calls: int = 0
    kept: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    price: tuple[float, float] = field(default=(0.0, 0.0))
    """Of a million tokens in and out, in the user's money."""

    @property
    def cost(self) -> float:
        """In the money of ``price``; 0 while no price is known."""
        return (self.tokens_in * self.price[0] + self.tokens_out * self.price[1]) / 1e6

    def __str__(self) -> str:
        """One line for people."""
        told = f"{self.calls} calls, {self.kept} from the cache, "
        told += f"{self.tokens_in:,} + {self.tokens_out:,} tokens, {self.seconds:.1f} s"
        return told + (f", cost {self.cost:.4f}" if any(self.price) else "")
