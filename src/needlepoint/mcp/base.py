"""What every call passes: the names of its arguments, and how its errors read."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import Repr
from typing import Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, InputRequiredResult
from pydantic import ValidationError

from needlepoint.errors import NeedlepointError, nearest

_LONGEST = 1_000
"""Characters of an error, which may repeat what a client has sent."""
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class Server(MCPServer[dict[str, Any]]):
    """The SDK's server, with errors told as everywhere in this house.

    ``honours_roots`` tells whether a client that names folders is shown only what lies below them.
    """

    honours_roots: bool = True

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        context: Context[dict[str, Any], Any] | None = None,
    ) -> CallToolResult | InputRequiredResult:
        """Call a tool; what a caller can mend is one sentence that says how.

        Raises:
            ToolError: with that sentence.
        """
        tools = {tool.name: tool.input_schema for tool in await self.list_tools()}
        if name not in tools:
            close = nearest(name[:80], tools) or "."
            raise ToolError(
                f"no tool is called {_SHORT.repr(name)}{close} Tools: {', '.join(tools)}."
            )
        _check_names(arguments, tools[name]["properties"])
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ValidationError):
                raise ToolError(_sentence(cause)[:_LONGEST]) from None
            if isinstance(cause, NeedlepointError):
                raise ToolError(str(cause)[:_LONGEST]) from cause
            raise


def _check_names(arguments: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in arguments:
        if name not in known:
            close = nearest(name[:80], known) or "."
            raise ToolError(
                f"no argument is called {_SHORT.repr(name)}{close} "
                f"Arguments: {', '.join(known) or 'none'}."
            )


def _sentence(error: ValidationError) -> str:
    """What pydantic found, as sentences that name argument, problem and value."""
    found = {}
    for one in error.errors(include_url=False):
        place = [str(part) for part in one["loc"] if isinstance(part, int) or part.islower()]
        problem = one["msg"][:1].lower() + one["msg"][1:]
        found[".".join(place)] = f"{problem}. Received: {_SHORT.repr(one['input'])}"
    return "; ".join(f"`{place}`: {told}" for place, told in found.items())
