"""Uploads made to hurt: wrapped wrongly, no pictures at all, or claiming more than they are."""

from __future__ import annotations

from hostile_wire import Hostile, request


def forms() -> list[Hostile]:
    """Uploads whose wrapping is wrong."""
    mark: dict[str, str | bytes] = {"Content-Type": "multipart/form-data; boundary=x"}
    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a.jpg"\r\n\r\n%s\r\n'
    send = "/v1/uploads"
    shapes: dict[str, tuple[bytes, dict[str, str | bytes]]] = {
        "nothing": (b"", {}),
        "form without boundary": (b"--x--", {"Content-Type": "multipart/form-data"}),
        "form of nothing": (b"", mark),
        "form of its end": (b"--x--\r\n", mark),
        "form of noise": (b"\x00" * 5000, mark),
        "another part": (part % (b"other", b"x") + b"--x--\r\n", mark),
        "two files": ((part % (b"picture", b"x")) * 2 + b"--x--\r\n", mark),
        "a hundred fields": (
            b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n1\r\n' * 100 + b"--x--", mark),
        "a field, no file": (
            b'--x\r\nContent-Disposition: form-data; name="picture"\r\n\r\nx\r\n--x--\r\n', mark),
        "part without name": (b"--x\r\nContent-Disposition: form-data\r\n\r\nx\r\n--x--\r\n", mark),
        "part with huge header": (b"--x\r\nX: " + b"a" * 100_000 + b"\r\n\r\nx\r\n--x--\r\n", mark),
        "never closed": (part % (b"picture", b"x" * 100), mark),
        "no ascii": (b"--x--", {"Content-Type": b"multipart/form-data; boundary=\xff"}),
        "path as file name": (
            part.replace(b"a.jpg", b"../../evil.jpg") % (b"picture", b"none") + b"--x--\r\n", mark),
        "text": (b"hello", {"Content-Type": "text/plain"}),
        "html": (b"<html>", {"Content-Type": "text/html"}),
        "json": (b"{}", {"Content-Type": "application/json"}),
        "urlencoded": (b"picture=x", {"Content-Type": "application/x-www-form-urlencoded"}),
        "kind of junk": (b"x", {"Content-Type": "\x7f/../../x"}),
    }  # fmt: skip
    return [
        Hostile("uploads", f"wrapped: {name}", request("POST", send, body, headers))
        for name, (body, headers) in shapes.items()
    ]


def disguised(pictures: dict[str, bytes]) -> list[Hostile]:
    """Files that are no pictures, or claim to be more than they are."""
    more = {
        "svg with script": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "svg with entity": b'<!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
        "html with a jpeg start": b"\xff\xd8\xff\xe0<html><script>alert(1)</script>",
        "pdf": b"%PDF-1.7\n1 0 obj\n<</Type/Catalog>>\nendobj\n" * 20,
        "zip": b"PK\x03\x04" + bytes(500),
        "gzip": b"\x1f\x8b\x08" + bytes(500),
        "elf": b"\x7fELF" + bytes(500),
        "php in gif": b"GIF89a<?php system($_GET['c']); ?>",
        "html in bmp": b"BM<html><body onload=alert(1)>" + bytes(100),
        "mp4": b"\x00\x00\x00\x18ftypmp42" + bytes(200),
        "path": b"/etc/passwd",
        "url": b"http://127.0.0.1/",
        "mvg": b"push graphic-context\nimage over 0,0 0,0 'file:///etc/passwd'",
        "icc bomb name": b"icns" + b"\xff" * 100,
        "one byte": b"\xff",
    }  # fmt: skip
    jpeg: dict[str, str | bytes] = {"Content-Type": "image/jpeg"}
    return [
        Hostile("pictures", name, request("POST", "/v1/uploads", body, jpeg))
        for name, body in {**more, **pictures}.items()
    ]
