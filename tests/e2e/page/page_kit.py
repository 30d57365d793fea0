"""What tests of the page ask of it: its tiles, its state, and whether it behaved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

SETTLED = """() => {
  const grid = document.getElementById("grid");
  const told = document.getElementById("told");
  const problem = document.getElementById("problem");
  if (!grid || !problem || grid.getAttribute("aria-busy") === "true") return false;
  if (!problem.hidden || !told.hidden) return true;
  const tiles = grid.querySelectorAll("[data-id]");
  return tiles.length > 0 && !grid.querySelector(".waiting");
}"""
IDS = """() => [...document.querySelectorAll("#grid [data-id]")]
  .sort((a, b) => a.dataset.index - b.dataset.index).map((one) => Number(one.dataset.id))"""
NAMES = """() => [...document.querySelectorAll("#grid [data-id]")]
  .sort((a, b) => a.dataset.index - b.dataset.index)
  .map((one) => one.querySelector(".name")?.textContent ?? "")"""


class Watch:
    """Collects what a page must not do: errors, policy violations, requests to elsewhere."""

    def __init__(self, page: Page, base: str) -> None:
        self.problems: list[str] = []
        self._base = base
        page.on("console", lambda message: self._said(message.type, message.text))
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("request", self._asked)

    def _said(self, kind: str, text: str) -> None:
        # A refusal that a test asks for is reported by the browser too; the page shows it.
        if kind == "error" and "the server responded with a status of 4" not in text:
            self.problems.append(f"console: {text}")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((f"{self._base}/", "data:", "blob:")):
            self.problems.append(f"request to elsewhere: {request.url}")


class Opened:
    """A page that is open at the grid."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def settle(self) -> None:
        """Wait until the grid has nothing under way."""
        self.page.wait_for_function(SETTLED)

    def ids(self) -> list[int]:
        """Ids of the tiles in the document, in order."""
        ids: list[int] = self.page.evaluate(IDS)
        return ids

    def names(self) -> list[str]:
        """File names under the tiles, in order."""
        names: list[str] = self.page.evaluate(NAMES)
        return names

    def ask(self, text: str) -> None:
        """Type a question as a person does, and wait for its answer."""
        self.page.keyboard.press("/")
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)
        self.page.keyboard.press("Enter")
        self.wait_for_question(text)

    def wait_for_question(self, text: str) -> None:
        """Wait until the address asks this, and the grid has answered."""
        self.page.wait_for_function(
            "text => (new URLSearchParams(location.search).get('q') ?? '') === text", arg=text
        )
        self.settle()

    def question(self) -> str:
        """The question in the address."""
        text: str = self.page.evaluate("new URLSearchParams(location.search).get('q') ?? ''")
        return text

    def api(self, path: str) -> Any:
        """JSON of an address of the server, asked by the page itself."""
        return self.page.evaluate("async path => (await fetch(path)).json()", path)
