"""A paper's table beside our own figures, as far as data and weights are here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from needlepoint.bench.datasets import find_dataset, missing_pictures, open_dataset
from needlepoint.bench.protocol import Protocol
from needlepoint.bench.published import BOXES, OBJECTS, Row, Table
from needlepoint.bench.results import Run, Skipped
from needlepoint.bench.runner import Bench, Settings
from needlepoint.encoders.address import open_encoder
from needlepoint.errors import NeedlepointError, UsageError
from needlepoint.intake.decode import decode
from needlepoint.parts import Encoder

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A published line and ours: mean and 95 % interval in percent by measure, or what lacks."""

    row: Row
    address: str
    ours: Mapping[str, tuple[float, float, float]]
    missing: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """What lacks, or how our run differs from the published one."""
        differs = (self.row.differs,) if self.row.differs and not self.missing else ()
        return tuple(f"missing: {reason}" for reason in self.missing) or differs

    def lines(self) -> list[dict[str, Any]]:
        """One row of a table a measure."""
        told = []
        for measure, published in self.row.published.items():
            mean, low, high = self.ours.get(measure, (None, None, None))
            told.append(
                {
                    "table": self.row.source,
                    "line": self.row.label,
                    "data": f"{self.row.protocol} {self.row.split}",
                    "measure": measure,
                    "published": published,
                    "ours": mean,
                    "low": low,
                    "high": high,
                    "encoder": self.address,
                    "method": self.row.method,
                    "note": "; ".join(self.notes),
                }
            )
        return told


def reproduce(
    table: Table,
    data: Path,
    out: Path,
    *,
    models: Mapping[str, str] | None = None,
    objects: str = "",
    cache: Path | None = None,
    settings: Settings | None = None,
    opened: Callable[[str], Encoder] = open_encoder,
    report: Report = lambda text: None,
) -> list[Outcome]:
    """Run every line of a table whose data and weights are on this machine.

    Args:
        table: what was published.
        data: folder with a folder for each dataset, of its name; or that of one dataset alone.
        out: folder for the results of the runs, which are not run again, and box files.
        models: addresses by name of the table's encoders, in place of or added to its own.
        objects: source of objects for lines with detected objects, as for ``detector-crops``.
        cache: folder of features kept between runs.
        settings: limits on questions; a limited run is no reproduction.
        opened: opens an encoder by its address.
        report: told of progress.

    Returns:
        One outcome a row, in the order of the table; ``missing`` names the file, the pictures and
        the weights that lack.

    Raises:
        UsageError: ``models`` names an encoder the table does not have.
    """
    addresses = {**table.encoders, **(models or {})}
    if strange := sorted(set(addresses) - set(table.encoders)):
        raise UsageError(
            f"table {table.name} has no encoder {strange[0]!r}. Its encoders: "
            f"{', '.join(table.encoders)}."
        )
    protocols, lacking = _protocols(table.rows, data)
    found: dict[tuple[str, str, str], Run | Skipped | str] = {}
    for name, address in addresses.items():
        rows = [row for row in table.rows if row.encoder == name and row.protocol in protocols]
        if not rows or not address:
            continue
        try:
            encoder = opened(address)
        except NeedlepointError as error:
            found |= {(name, row.protocol, row.method): str(error) for row in rows}
            continue
        bench = Bench(
            encoder, out, cache=cache, settings=settings or Settings(timed=0), report=report
        )
        found |= _run(name, rows, protocols, bench, out, objects)
    return [_outcome(row, addresses[row.encoder], lacking, found) for row in table.rows]


def _run(
    name: str,
    rows: Sequence[Row],
    protocols: Mapping[str, Protocol],
    bench: Bench,
    out: Path,
    objects: str,
) -> dict[tuple[str, str, str], Run | Skipped | str]:
    found: dict[tuple[str, str, str], Run | Skipped | str] = {}
    given: dict[tuple[str, str], str] = {}
    for row in rows:
        text = row.method
        if OBJECTS in text and not objects:
            found[name, row.protocol, row.method] = (
                "a source of detected objects, for instance owlv2:FOLDER+sam:FOLDER"
            )
            continue
        if BOXES in text:
            text = text.replace(BOXES, _escaped(str(write_boxes(protocols[row.protocol], out))))
        given[row.protocol, text.replace(OBJECTS, _escaped(objects))] = row.method
    asked = {key: [text for protocol, text in given if protocol == key] for key in protocols}
    wanted = [protocol for key, protocol in protocols.items() if asked[key]]
    for one in bench.run(wanted, lambda protocol: asked[protocol.name]):
        key = one.key["protocol"] if isinstance(one, Run) else one.protocol
        found[name, key, given[key, one.method]] = one
    return found


def _outcome(
    row: Row,
    address: str,
    lacking: Mapping[str, str],
    found: Mapping[tuple[str, str, str], Run | Skipped | str],
) -> Outcome:
    reasons = [lacking[row.protocol]] if row.protocol in lacking else []
    if not address:
        reasons.append(f"weights of {row.encoder}, which are not published")
    one = found.get((row.encoder, row.protocol, row.method))
    if isinstance(one, str):
        reasons.append(one)
    if isinstance(one, Skipped):
        reasons.append(one.reason)
    if not isinstance(one, Run):
        return Outcome(row, address, {}, tuple(reasons))
    ours = {}
    for measure in row.published:
        if (interval := one.interval(measure)) is not None:
            values = (interval.estimate, interval.low, interval.high)
            mean, low, high = (round(100 * value, 2) for value in values)
            ours[measure] = (mean, low, high)
    return Outcome(row, address, ours)


def _protocols(rows: Sequence[Row], data: Path) -> tuple[dict[str, Protocol], dict[str, str]]:
    """The protocols that can be asked, and what lacks for the others, by protocol."""
    ready: dict[str, Protocol] = {}
    lacking: dict[str, str] = {}
    for row in rows:
        if row.protocol in ready or row.protocol in lacking:
            continue
        card = find_dataset(row.dataset)
        folder = data if (data / card.file).is_file() else data / card.name
        try:
            opened = open_dataset(card.name, folder, row.split)
        except NeedlepointError as error:
            lacking[row.protocol] = str(error).rstrip(".")
            continue
        protocol = next(one for one in opened if one.name == row.protocol)
        if absent := missing_pictures(protocol):
            lacking[row.protocol] = (
                f"{len(absent)} pictures of {card.name}, first {Path(protocol.folder) / absent[0]}"
            )
        else:
            ready[row.protocol] = protocol
    return ready, lacking


def write_boxes(protocol: Protocol, out: Path) -> Path:
    """The boxes a protocol tells of its gallery, as a COCO file that ``annotations:`` reads.

    They are those of things that some question asks for; equal boxes stand once.
    """
    boxes: dict[str, dict[Any, None]] = {item.id: {} for item in protocol.gallery}
    for question in protocol.questions:
        for key, places in question.boxes.items():
            boxes[key].update(dict.fromkeys(places))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, item in enumerate(protocol.gallery, start=1):
        width, height = decode(Path(protocol.folder) / item.file).size
        images.append({"id": number, "file_name": item.file, "width": width, "height": height})
        annotations += [
            {"id": len(annotations) + n, "image_id": number, "category_id": 1, "bbox": list(box)}
            for n, box in enumerate(boxes[item.id], start=1)
        ]
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"boxes-{protocol.name.replace('/', '-')}-{protocol.split}.json"
    categories = [{"id": 1, "name": "thing"}]
    told = {"images": images, "annotations": annotations, "categories": categories}
    path.write_text(json.dumps(told), encoding="utf-8")
    return path


def _escaped(value: str) -> str:
    return value.replace(",", ",,")
