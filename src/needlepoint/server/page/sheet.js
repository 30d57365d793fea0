// A small dialog for one thing at a time.

import { h, iconButton } from "./dom.js";

/** Open a dialog with a title; gives the dialog element, which `close()` ends. */
export function openSheet(title, ...children) {
  const sheet = document.getElementById("sheet");
  if (sheet.open) sheet.close();
  const head = h("header", {}, h("h2", { id: "sheet-title", text: title }), iconButton("close", "Close", () => sheet.close()));
  sheet.replaceChildren(head, ...children);
  // A handler that gives false would keep forms in the sheet from being sent.
  sheet.onclick = (event) => {
    if (event.target === sheet) sheet.close();
  };
  sheet.showModal();
  return sheet;
}
