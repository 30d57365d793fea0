"""Chat models behind OpenAI-compatible servers (vLLM, llama.cpp, Ollama and others)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from needlepoint.errors import ModelUnavailable
from needlepoint.outside.chat import Message
from needlepoint.outside.endpoint import Endpoint, Spent

FORMS = ("schema", "object", "plain")
"""How a reply is bound to JSON, the strictest first; servers offer some of these."""

_REFUSALS = (400, 404, 415, 422, 501)
_TOLD = "Answer with JSON alone that satisfies this JSON schema: "


class OpenAIChat:
    """``openai:BASE_URL#MODEL``: messages in, text (or JSON that satisfies a schema) out.

    A reply that must be JSON is asked for by schema; where the server refuses that, as any JSON
    object; where it refuses that too, in words. What comes is checked in each case, and a wrong
    reply is sent back once to be mended.

    Args:
        endpoint: where the model is served.
        price: of a million tokens in and out, for :attr:`spent`.
    """

    def __init__(self, endpoint: Endpoint, *, price: tuple[float, float] = (0.0, 0.0)) -> None:
        self._endpoint = endpoint
        self._client = endpoint.client()
        self._form = FORMS[0]
        self.spent = Spent(price=price)

    @property
    def name(self) -> str:
        """See ``ChatModel``."""
        return str(self._endpoint)

    def reply(
        self,
        messages: Sequence[Message],
        *,
        schema: Mapping[str, Any] | None = None,
        temperature: float = 0.0,
        most: int = 400,
    ) -> str:
        """See ``ChatModel``."""
        asked = [_told(message) for message in messages]
        text = self._once(asked, schema, temperature, most)
        problem = _problem(text, schema)
        if problem:
            mend = f"That cannot be used: {problem}. Answer again."
            again = [{"role": "assistant", "content": text}, {"role": "user", "content": mend}]
            text = self._once([*asked, *again] if text else asked, schema, temperature, most)
            problem = _problem(text, schema)
        if problem:
            raise ModelUnavailable(f"{self.name} answers nothing usable, twice: {problem}.")
        return text.strip() if schema is None else json.dumps(_json(text), ensure_ascii=False)

    def models(self) -> list[str]:
        """Names of the models that the server offers.

        Raises:
            ModelUnavailable: it cannot be reached.
        """
        return [str(one.id) for one in self._endpoint.call(lambda: self._client.models.list())]

    def _once(
        self,
        asked: Sequence[dict[str, Any]],
        schema: Mapping[str, Any] | None,
        temperature: float,
        most: int,
    ) -> str:
        """One reply, in the strictest form that the server takes."""
        forms = FORMS[FORMS.index(self._form) :] if schema is not None else ("",)
        for form in forms:
            try:
                text = self._send(asked, form, schema, temperature, most)
            except ModelUnavailable as error:
                status = getattr(error.__cause__, "status_code", None)
                if form == forms[-1] or status not in _REFUSALS:
                    raise
                continue
            if form:
                self._form = form
            return text
        raise AssertionError("the last form returns or raises")

    def _send(
        self,
        asked: Sequence[dict[str, Any]],
        form: str,
        schema: Mapping[str, Any] | None,
        temperature: float,
        most: int,
    ) -> str:
        options: dict[str, Any] = {}
        messages = list(asked)
        if form == "schema":
            bound = {"name": "reply", "schema": dict(schema or {}), "strict": True}
            options["response_format"] = {"type": "json_schema", "json_schema": bound}
        elif form == "object":
            options["response_format"] = {"type": "json_object"}
        if form in ("object", "plain"):
            messages.insert(0, {"role": "system", "content": _TOLD + json.dumps(schema)})
        began = time.monotonic()
        self.spent.calls += 1
        answer = self._endpoint.call(
            lambda: self._client.chat.completions.create(
                model=self._endpoint.model,
                messages=messages,
                temperature=temperature,
                max_tokens=most,
                **options,
            )
        )
        self.spent.seconds += time.monotonic() - began
        return self._text(answer)

    def _text(self, answer: Any) -> str:
        """The words of an answer; whatever a server sends, this fails in one way only."""
        usage = getattr(answer, "usage", None)
        for name, field in (("tokens_in", "prompt_tokens"), ("tokens_out", "completion_tokens")):
            count = getattr(usage, field, None)
            if isinstance(count, int):
                setattr(self.spent, name, getattr(self.spent, name) + count)
        try:
            content = answer.choices[0].message.content
        except (AttributeError, IndexError, TypeError) as error:
            raise ModelUnavailable(
                f"{self.name} answers what is no chat completion. Check the base URL, which ends "
                "in /v1."
            ) from error
        return content if isinstance(content, str) else ""


def _told(message: Message) -> dict[str, Any]:
    """A message as the server reads it; pictures as data URLs."""
    words = message.text.encode("utf-8", "replace").decode()  # bytes of names are no words
    if not message.pictures:
        return {"role": message.role, "content": words}
    parts: list[dict[str, Any]] = [{"type": "text", "text": words}]
    for data in message.pictures:
        kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
        url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return {"role": message.role, "content": parts}


def _json(text: str) -> Any:
    """The JSON of a reply, without the fence that some models put round it."""
    bare = text.strip()
    if bare.startswith("```") and bare.endswith("```"):
        bare = bare[3:-3].removeprefix("json")
    return json.loads(bare)


def _problem(text: str, schema: Mapping[str, Any] | None) -> str:
    """What is wrong with a reply, or an empty string."""
    if not text.strip():
        return "it is empty"
    if schema is None:
        return ""
    try:
        value = _json(text)
    except ValueError as error:
        return f"it is no JSON ({error})"
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    wrong = next(iter(Draft202012Validator(dict(schema)).iter_errors(value)), None)
    return "" if wrong is None else " ".join(wrong.message.split())[:200]
