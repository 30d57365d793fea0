"""Requests made to hurt: by room, a name and the bytes on the wire; each is to be refused.

``{outside}`` and ``{inside}`` stand for a picture beside the library's folders and one within.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote

from hostile_uploads import disguised, forms
from hostile_wire import JSON, Hostile, request


def asked(room: str, target: str, values: Iterable[object]) -> list[Hostile]:
    """GETs of a target whose ``{}`` is each value, escaped for an address."""
    found = []
    for value in values:
        raw = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
        wire = request("GET", target.replace("{}", quote(raw, safe="")))
        found.append(Hostile(room, f"{target} {str(value)[:60]!r}", wire))
    return found


TRAVERSALS = (
    *("../../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/%2e%2e/etc/passwd"),
    *("%2e%2e%2f%2e%2e%2fetc%2fpasswd", "%252e%252e%252fetc%252fpasswd", "..%5c..%5cwin.ini"),
    *("..%255c..%255cwin.ini", "....//....//etc/passwd", "..;/..;/etc/passwd", "%00", "a%00.js"),
    *("%c0%ae%c0%ae%c0%afetc", "%e0%80%ae%e0%80%ae/etc", "%uff0e%uff0e/etc", "%ff%fe%00"),
    *("/etc/passwd", "//etc/passwd", "%2f%2fserver%2fshare", "%5c%5cserver%5cshare%5ca.js"),
    *("C:%5cwindows%5cwin.ini", "proc/self/environ", "~root/.bashrc"),
    *("file:%2f%2f%2fetc%2fpasswd", ".git/config", "%2e/%2e%2e/app.py", "..%c0%af..%c0%afetc"),
    *("%EF%BC%8E%EF%BC%8E/etc", "CON"),
)
ODD_IDS = (
    *("-1", "1.5", "1e3", "0x10", "NaN", "Infinity", "9223372036854775808", "9" * 400, "%20"),
    *("1%00", "1;drop table pictures", "' or 1=1", "null", "true", "[1]", "..", "%2e%2e%2f1"),
    *("+-1", "4611686018427387905", "٣x", "1,2", "999999999", "@1"),
)  # fmt: skip
BOXES = (
    *("", "1", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,10,10", "inf,0,10,10", "0,0,0,0"),
    *("0,0,-5,5", "0,0,1e999,5", "1e308,1e308,1e308,1e308", "-50,-50,10,10", "99999,0,10,10"),
    *("0;0;10;10", "0,0,10,10\x00", "0x1,0,5,5", "percent:0,0,50,50x", ",,,", "1" * 199),
    *("9" * 400,),
)  # fmt: skip
BAD_QUESTIONS = (
    *("", " ", "\t\n", '"', '""', "+", "-", "+ +", "- a dog", "a dog -", "a + + b", "text:"),
    *("img:", 'img:""', 'text:""', "@99999999", "@9223372036854775808", "@" + "9" * 500, "0:dog"),
    *("nan:dog + nan:cat", "1e999:dog", "1001:dog", "-1001:dog", "-1:dog", "1e-400:dog"),
    *("@1#xywh=0,0,0,0", "@1#xywh=-5,-5,2,2", "@1#xywh=nan,1,1,1", "@1#xywh=1,2,3"),
    *("@1#xywh=a,b,c,d", "@1#xywh=percent:90,90,20", "@1#xywh=1e999,0,1,1"),
    *("@1#xywh=99999,99999,5,5", '"open quote', '"""', "a" * 4001, "+".join(["a dog"] * 700)),
    *("(" * 3998 + " +", '"' * 3999, "- \u200b", "- \u202ea", "a + ", "@1 + ", "@1#xywh="),
    *("@1#t=5", "@0"),
)  # fmt: skip
BAD_PICTURES = (
    *("/etc/passwd", "../../../etc/passwd", "/proc/self/environ", "/proc/self/fd/0", "/dev/zero"),
    *("/dev/stdin", "/dev/random", "~/picture.jpg", "~root/picture.jpg", "//server/share/a.jpg"),
    *("\\\\server\\share\\a.jpg", "C:\\Users\\a.jpg", "{outside}", "{outside}/../{outside}"),
    *("{inside}/../../outside.jpg", "{inside}\\", "./{inside}", "{inside}\x00.jpg"),
    *("{inside}%2e", "{inside}?x", "{link}", "upload:", "upload:../../etc/passwd"),
    *("upload:" + "0" * 32, "upload:" + "0" * 33, "upload:" + "G" * 32, "upload:%00"),
    *("UPLOAD:" + "0" * 32, "a.jpg\n", "x" * 3900, "e\u0301.jpg", "\u00e9.jpg", "\u202egpj.a"),
    *("nul", "COM1.jpg", "a.jpg:stream", "\ud800.jpg", "memory:0"),
)  # fmt: skip
FETCHES = (
    *("http://127.0.0.1:{port}/a.jpg", "http://localhost:{port}/a.jpg"),
    *("http://[::1]:{port}/a.jpg", "http://0.0.0.0:{port}/a.jpg", "http://0:{port}/a.jpg"),
    *("http://2130706433:{port}/a.jpg", "http://0x7f000001:{port}/a.jpg"),
    *("http://0x7f.1:{port}/a.jpg", "http://017700000001:{port}/a", "http://127.1:{port}/a.jpg"),
    *("http://127.0.1:{port}/a.jpg", "http://[::ffff:127.0.0.1]:{port}/"),
    *("http://[::ffff:7f00:1]:{port}/", "http://[0:0:0:0:0:0:0:1]:{port}/"),
    *("http://[::]:{port}/", "http://169.254.169.254/latest/meta-data/"),
    *("http://metadata.google.internal/", "http://10.0.0.1/", "http://192.168.0.1/a.jpg"),
    *("http://172.16.0.1/a.jpg", "http://100.64.0.1/a.jpg", "http://[fe80::1]/"),
    *("http://[fc00::1]/a.jpg", "http://224.0.0.1/a.jpg", "http://255.255.255.255/a.jpg"),
    *("http://198.18.0.1/", "http://example.org@127.0.0.1:{port}/"),
    *("http://127.0.0.1:{port}#@example.org/a.jpg", "http://127.0.0.1:{port}\\@example.org/"),
    *("http://localhost.:{port}/a.jpg", "http://LOCALHOST:{port}/"),
    *("http://1.0.0.127.in-addr.arpa/", "ftp://127.0.0.1/a.jpg"),
    *("gopher://127.0.0.1:{port}/_GET", "http:///a.jpg", "http://"),
    *("https://127.0.0.1:{port}/a.jpg", "http://\u2460\u2461\u2466.0.0.1/"),
    *("http://127。0。0。1:{port}/", "data:image/png;base64,AAAA", "file:///etc/passwd"),
    *("http://127.0.0.1:99999/", "http://a b/c.jpg"),
)  # fmt: skip
BAD_FILTERS = (
    *("(", ")", "()", "((((", "(" * 2000 + "width > 1" + ")" * 2000, "not " * 900 + "width > 1"),
    *("width >", "> 5", "width > > 5", "width = ", "width > abc", "width > 1e999", "width > nan"),
    *("' OR '1'='1", "1=1; DROP TABLE pictures", "1=1", "width > 1; --", "width > 1 /* */ or 1"),
    *("width > (select 1)", "width > sqlite_version()", "unknown > 5", "raw = 5", "digest = 'x'"),
    *('camera = "', 'camera = "a" "b"', "camera", "and", "or or", "not"),
    *("taken >= yesterday-ish", "taken >= 99999-99-99", "near(1,2", "near(nan,nan,5)"),
    *("near(999,999,5)", "rating >= five", "width > 1 and", "width > 1 xor height > 1", "\x00"),
    *("\u202e", "width\u200b > 1", "w" * 4001, "id in (" + ",".join("1" * 900) + ""),
    *("id = 1e5000", "path glob '*'", "width > 1 limit 1", "{}", "[]"),
)  # fmt: skip
BAD_CURSORS = (
    *("x", "0", "-1", "AAAA", "AAAAAAAAAAAAAAAA.-1", "AAAAAAAAAAAAAAAA.1e3"),
    *("AAAAAAAAAAAAAAAA.999999", "AAAAAAAAAAAAAAAA.0", "../../etc", "\x00", "%00", "' or 1=1"),
    *("eyJpZCI6MX0=", "\u202e", "a" * 99, "a" * 5000),
)  # fmt: skip
NUMBERS = ("0", "-1", "1.5", "1e3", "99999999", "9" * 400, "NaN", "", "ten", "1;2", "[]", "٣x")

DEEP = b"[" * 200_000 + b"]" * 200_000
DEEP_OBJECTS = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
REST = b'{"q": 1, "sources": 1, "model": 1, "said": 1, "k": 1, "method": 1}'
BODIES: tuple[tuple[str, bytes], ...] = (
    ("nothing", b""),
    ("a number", b"1"),
    ("null", b"null"),
    ("a list", b"[]"),
    ("a text", b'"x"'),
    ("true", b"true"),
    ("cut", b'{"q": "a'),
    ("two values", b"{} {}"),
    ("a comma too many", b'{"q": "a",}'),
    ("single quotes", b"{'q': 'a'}"),
    ("deep lists", DEEP),
    ("deep objects", DEEP_OBJECTS),
    ("bytes that are no UTF-8", b'{"q": "\xff\xfe"}'),
    ("overlong UTF-8", b'{"q": "\xc0\xaf"}'),
    ("UTF-16", REST.decode().encode("utf-16")),
    ("a number of 100000 digits", b'{"k": ' + b"9" * 100_000 + b"," + REST[1:]),
    ("a number beyond floats", REST.replace(b"1", b"1e999")),
    ("not a number", REST.replace(b"1", b"NaN")),
    ("infinity", REST.replace(b"1", b"-Infinity")),
    ("NUL", b"\x00\x00\x00\x00"),
    ("2 MB of spaces", b" " * 2_000_000),
    ("XML", b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>"),
    ("a form", b"q=a&sources=b&model=c&said=d"),
)  # fmt: skip
POSTED = ("/v1/conversations", "/v1/embeddings", "/v1/index/jobs")


def bodies() -> list[Hostile]:
    found = []
    for target in POSTED:
        for name, body in BODIES:
            if name == "nothing" and target == "/v1/conversations":
                continue  # all its settings have defaults
            found.append(Hostile("bodies", f"{target} {name}", request("POST", target, body, JSON)))
    for name, body in BODIES:
        found.append(Hostile("bodies", f"saved {name}", request("PUT", "/v1/saved/a", body, JSON)))
    return found


def posted(room: str, target: str, values: Iterable[object], method: str = "POST") -> list[Hostile]:
    return [
        Hostile(
            room,
            f"{target} {json.dumps(value)[:70]}",
            request(method, target, json.dumps(value).encode(), JSON),
        )
        for value in values
    ]


JOBS = (
    *({"sources": [s]} for s in ("/", "/etc", "/proc/self", "..", ".", "~", "~root", "{outside}")),
    *({"sources": [s]} for s in ("file:///etc", "http://127.0.0.1/", "{inside}/../..", "a\u0000b")),
    *({"sources": [s]} for s in ("", "\\\\server\\share", "//server/share", "x" * 5000)),
    *({"sources": [s]} for s in ("\u202e", "{link}")),
    {"sources": ["{inside}"] * 101}, {"sources": "{inside}"}, {"sources": [1]}, {"sources": [[]]},
    {"sources": [None]}, {"sources": {"a": 1}}, {"sources": [], "model": 5},
    {"sources": [], "model": ""},
    {"sources": [], "model": "no-such-model"}, {"sources": [], "model": "onnx:/etc/passwd"},
    {"sources": [], "method": "no-such-method"}, {"sources": [], "method": "x" * 501},
    {"sources": [], "method": "annotations:/etc/passwd"},
)  # fmt: skip
EMBEDDINGS = (
    {"model": "builtin"}, {"input": "a"}, {"model": "builtin", "input": []},
    {"model": "builtin", "input": ""}, {"model": "builtin", "input": [""]},
    {"model": "builtin", "input": ["a"] * 100_000}, {"model": "builtin", "input": [1, 2, 3]},
    {"model": "builtin", "input": [[1, 2]]}, {"model": "builtin", "input": {"image": "x"}},
    {"model": "no-such", "input": "a"}, {"model": "/etc/passwd", "input": "a"},
    {"model": "onnx:/etc", "input": "a"}, {"model": "hf:evil/model", "input": "a"},
    {"model": "builtin", "input": "a", "dimensions": -1},
    {"model": "builtin", "input": "a", "dimensions": 10**9},
    {"model": "builtin", "input": "a", "dimensions": 1.5},
    {"model": "builtin", "input": "a", "encoding_format": "xml"},
    {"model": "builtin", "input": "a", "modality": "audio"},
    {"model": "builtin", "input": "a", "modality": "image"},
    {"model": "builtin", "input": "a", "space": "no-such"},
    *({"model": "builtin", "input": [{"image": url}]} for url in (
        "", "x", "data:", "data:,", "data:image/png;base64,", "data:image/png;base64,!!!!",
        "data:image/png;base64,AAAA", "data:text/html;base64,PGI+",
        "data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=",
        "data:image/svg+xml,<svg/>", "http://127.0.0.1/a.png", "https://example.org/a.png",
        "file:///etc/passwd", "/etc/passwd", "data:image/png;base64," + "A" * 1001,
        "data:image/gif;base64,R0lGODlh/////wAAADs=",
        "javascript:alert(1)", "data:application/pdf;base64,JVBERi0=", "upload:" + "0" * 32,
    )),
)  # fmt: skip
CONVERSATIONS = (
    {"k": 0}, {"k": -5}, {"k": 10**30}, {"k": 1.5}, {"k": "x"}, {"k": [1]}, {"method": ""},
    {"method": "no-such"}, {"method": "dense"}, {"method": "x" * 600}, {"method": "feedback:no=1"},
    {"method": 5}, {"where": "("}, {"where": "1=1; drop table pictures"}, {"where": 5},
    {"where": "w" * 4001}, {"model": "no-such"}, {"model": []},
)  # fmt: skip
SAVED = (
    {}, {"q": 5}, {"q": None}, {"q": "a" * 4001}, {"q": "a", "order": "worst"}, {"q": ["a"]},
    {"q": "a", "where": 5}, {"q": "a", "where": "w" * 4001}, {"q": "a", "model": "m" * 501},
    {"q": "a", "fold": "x"},
)  # fmt: skip
SAVED_NAMES = ("x" * 5000, "%00", "a%00b", "%0d%0aSet-Cookie:a=b", "%1b[31m", "%7f")


def broken() -> list[Hostile]:
    """What is wrong with the message itself."""
    good = b"GET /healthz HTTP/1.1\r\n"
    host = b"Host: 127.0.0.1\r\n"
    close = b"Connection: close\r\n"
    send = b"POST /v1/uploads HTTP/1.1\r\n" + host + close
    chunks = send + b"Transfer-Encoding: chunked\r\n\r\n"

    def length(value: str) -> bytes:
        return request("POST", "/v1/uploads", headers={"Content-Length": value})

    def coding(value: str) -> bytes:
        return request("POST", "/v1/uploads", headers={"Transfer-Encoding": value})

    shapes: dict[str, tuple[bytes, bool]] = {
        "no host": (good + close + b"\r\n", True),
        "two hosts": (good + host + b"Host: evil.example\r\n" + close + b"\r\n", True),
        "no version": (b"GET /healthz\r\n\r\n", True),
        "version x": (b"GET /healthz HTTP/x.y\r\n" + host + close + b"\r\n", True),
        "no target": (b"GET  HTTP/1.1\r\n" + host + close + b"\r\n", True),
        "space in target": (b"GET /a b HTTP/1.1\r\n" + host + close + b"\r\n", True),
        "NUL in target": (b"GET /a\x00b HTTP/1.1\r\n" + host + close + b"\r\n", True),
        "raw bytes in target": (b"GET /\xff\xfe HTTP/1.1\r\n" + host + close + b"\r\n", True),
        "NUL in header": (good + host + b"X: a\x00b\r\n" + close + b"\r\n", True),
        "no colon": (good + host + b"nonsense\r\n" + close + b"\r\n", True),
        "space before colon": (good + host + b"X : a\r\n" + close + b"\r\n", True),
        "empty name": (good + host + b": a\r\n" + close + b"\r\n", True),
        "folded first": (good + b" folded: a\r\n" + host + close + b"\r\n", True),
        "bytes in a name": (good + host + b"\xff\xfe: a\r\n" + close + b"\r\n", True),
        "two lengths": (send + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", True),
        "length below nothing": (length("-1"), True),
        "length in words": (length("ten"), True),
        "length in hex": (length("0x10"), True),
        "length with a point": (length("1.5"), True),
        "length of 400 digits": (length("9" * 400), True),
        "unknown coding": (coding("gzip"), True),
        "two codings": (coding("gzip, chunked"), True),
        "bad chunk": (chunks + b"zz\r\nhello\r\n0\r\n\r\n", True),
        "chunk below nothing": (chunks + b"-5\r\nhello\r\n0\r\n\r\n", True),
        "binary noise": (bytes(range(256)) * 4 + b"\r\n\r\n", True),
        "TLS hello": (b"\x16\x03\x01\x02\x00\x01\xfc\x03\x03" + bytes(200) + b"\r\n\r\n", True),
        "header without end": (good + host + b"X: " + b"a" * 200_000, True),
        "target without end": (b"GET /" + b"a" * 200_000, True),
        "h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", True),
        "chunked and a length": (send + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
                                 + b"5\r\nhello\r\n0\r\n\r\n", False),
        "length beyond the limit": (length(str(2**40)), False),
        "big headers": (good + host + close + (b"X:" + b"a" * 200 + b"\r\n") * 99 + b"\r\n", False),
        "long address": (request("GET", "/v1/search?q=" + "a" * 50_000), False),
        "long path": (request("GET", "/" + "a/" * 25_000), False),
    }  # fmt: skip
    return [Hostile("messages", name, wire, plain) for name, (wire, plain) in shapes.items()]


def doors() -> list[Hostile]:
    """Wrong names, foreign sites, wrong methods."""
    found = [
        Hostile("doors", f"host {name!r}", request("GET", "/healthz", headers={"Host": name}))
        for name in (
            *("evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "evil@127.0.0.1"),
            *("127.0.0.1:99999", "127.0.0.1:x", "[::1", "169.254.169.254", "0.0.0.0", "10.0.0.1"),
            *("localhost/../x", "127.0.0.1#x", "127.0.0.1?x", "*", "-", "local host"),
        )
    ]
    write = json.dumps({"q": "a dog"}).encode()
    for headers in (
        *({"Origin": o} for o in ("null", "http://evil.example", "https://127.0.0.1.evil.example")),
        *({"Origin": o} for o in ("http://127.0.0.1:1", "file://", "chrome-extension://abc", "x")),
        *({"Sec-Fetch-Site": s} for s in ("cross-site", "same-site", "CROSS-SITE", "nonsense")),
    ):
        told = " ".join(f"{k} {v}" for k, v in headers.items())
        wire = request("PUT", "/v1/saved/forged", write, {**JSON, **headers})
        found.append(Hostile("doors", f"forged: {told}", wire))
    for method, target in (
        *((m, "/v1/search?q=a") for m in ("POST", "PUT", "DELETE", "TRACE", "CONNECT", "FOO")),
        *((m, "/v1/items/1") for m in ("POST", "PUT", "DELETE", "PATCH", "PROPFIND")),
        *((m, "/healthz") for m in ("POST", "DELETE")),
        *((m, "/v1/uploads") for m in ("GET", "PUT", "DELETE")),
        *((m, "/") for m in ("POST", "PUT", "DELETE")),
        ("OPTIONS", "/v1/search"),
        ("DELETE", "/static/app.js"),
    ):  # fmt: skip
        found.append(Hostile("doors", f"{method} {target}", request(method, target)))
    return found


def everything(pictures: dict[str, bytes], places: dict[str, str]) -> list[Hostile]:
    """All of them; ``pictures`` are files that must not be accepted."""

    def placed(text: str) -> str:
        for name, value in places.items():
            text = text.replace("{" + name + "}", value)
        return text

    found = [
        Hostile("paths", f"{base}{path}", request("GET", base + path))
        for base in ("/static/", "/v1/items/", "/v1/uploads/", "/")
        for path in TRAVERSALS
    ]
    for room in ("", "/thumb", "/crop", "/heat?q=@1"):
        found += asked("ids", "/v1/items/{}" + room, ODD_IDS)
    found += asked("ids", "/v1/index/jobs/{}", ODD_IDS)
    found += asked("ids", "/v1/index/jobs/{}/events", ODD_IDS[:8])
    found += asked("ids", "/v1/conversations/{}", ODD_IDS)
    for target in ("/v1/items/1/thumb?box={}", "/v1/items/1/crop?box={}"):
        found += asked("boxes", target, BOXES)
    for target in ("/v1/search?q=a&limit={}", "/v1/items?limit={}", "/v1/items/1/thumb?side={}"):
        found += asked("numbers", target, NUMBERS)
    found += asked("questions", "/v1/search?q={}", BAD_QUESTIONS)
    pictured = [placed(f'img:"{path}"') for path in BAD_PICTURES]
    found += asked("questions", "/v1/search?q={}", pictured)
    several = ("", "a dog + a cat", "@1 + @2", "@99999999", "-")
    found += asked("questions", "/v1/items/1/heat?q={}", several)
    urls = [placed(url) for url in FETCHES]
    found += asked("fetches", "/v1/search?q={}", [f'img:"{url}"' for url in urls])
    for target in ("/v1/search?q=a&where={}", "/v1/items?where={}", "/v1/facets?where={}"):
        found += asked("filters", target, BAD_FILTERS)
    for target in ("/v1/search?q=a&cursor={}", "/v1/items?cursor={}"):
        found += asked("cursors", target, BAD_CURSORS)
    found += bodies()
    found += posted("jobs", "/v1/index/jobs", json.loads(placed(json.dumps(JOBS))))
    found += posted("embeddings", "/v1/embeddings", EMBEDDINGS)
    found += posted("conversations", "/v1/conversations", CONVERSATIONS)
    found += posted("saved", "/v1/saved/a", SAVED, "PUT")
    body = json.dumps({"q": "a dog"}).encode()
    found += [
        Hostile("saved", f"name {name[:40]}", request("PUT", f"/v1/saved/{name}", body, JSON))
        for name in SAVED_NAMES
    ]
    return found + broken() + doors() + forms() + disguised(pictures)
