"""A local server that stalls, cuts, redirects, lies about length and serves wrong bytes."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

import numpy as np

CONTENT = np.random.default_rng(5).bytes(300_000)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        name = self.path.rpartition("/")[2].partition("?")[0]
        server.requests.append((name, self.headers.get("Range"), self.headers.get("If-Range")))
        attempt = sum(seen == name for seen, _, _ in server.requests)
        getattr(self, name.partition(".")[0])(attempt)

    def give(self, body, status=200, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def break_off(self):
        self.wfile.flush()
        self.close_connection = True

    def wanted(self, content=CONTENT):
        """What a well-behaved server gives for a Range request: start, body, headers."""
        given = self.headers.get("Range")
        if given is None:
            return content, 200, {}
        start = int(given.removeprefix("bytes=").removesuffix("-"))
        last = len(content) - 1
        return content[start:], 206, {"Content_Range": f"bytes {start}-{last}/{len(content)}"}

    # the behaviours

    def good(self, attempt):
        body, status, headers = self.wanted()
        self.give(body, status, **headers)

    def cuts(self, attempt):
        """Breaks off after a third of what is left, the first three times."""
        body, status, headers = self.wanted()
        if attempt < 4:
            self.give(body[: len(body) // 3], status, length=len(body), **headers)
            self.break_off()
        else:
            self.give(body, status, **headers)

    def cutstagged(self, attempt):
        """The same, and says which version of the file it has."""
        body, status, headers = self.wanted()
        cut = body[: len(body) // 3] if attempt < 3 else body
        self.give(cut, status, length=len(body), ETag='"v1"', **headers)
        self.break_off()

    def changes(self, attempt):
        """Breaks off once; then has another version and, asked with If-Range, gives all of it."""
        if attempt == 1:
            self.give(b"old" * 1000, length=9000, ETag='"v1"')
            self.break_off()
        else:
            self.give(CONTENT, ETag='"v2"')

    def norange(self, attempt):
        """Breaks off once and ignores Range."""
        self.give(CONTENT[:1000] if attempt == 1 else CONTENT, length=len(CONTENT))
        self.break_off()

    def wrongrange(self, attempt):
        """Breaks off once, then gives another range than was asked for, then behaves."""
        if attempt == 1:
            self.give(CONTENT[:1000], length=len(CONTENT))
            self.break_off()
        elif attempt == 2:
            self.give(CONTENT[500:], 206, Content_Range=f"bytes 500-{len(CONTENT) - 1}/*")
        else:
            self.good(attempt)

    def stalls(self, attempt):
        """Sends half and falls silent, once."""
        body, status, headers = self.wanted()
        if attempt == 1:
            self.give(body[: len(body) // 2], status, length=len(body), **headers)
            self.wfile.flush()
            self.server.stop.wait(600)
            self.close_connection = True
        else:
            self.give(body, status, **headers)

    def held(self, attempt):
        """Sends half, says so, and the rest when it is told to."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2])
        self.wfile.flush()
        self.server.half_sent.set()
        self.server.go_on.wait(600)
        self.wfile.write(CONTENT[len(CONTENT) // 2 :])

    def silent(self, attempt):
        """Never sends a byte."""
        self.server.stop.wait(600)
        self.close_connection = True

    def trickles(self, attempt):
        """Sends a byte now and then."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        for _ in range(10_000):
            if self.server.stop.wait(0.05):
                break
            self.wfile.write(b"x")
            self.wfile.flush()
        self.close_connection = True

    def promisesmore(self, attempt):
        body = CONTENT
        self.give(body, length=len(body) + 5000)
        self.break_off()

    def promisesless(self, attempt):
        self.give(CONTENT, length=len(CONTENT) - 5000)
        self.break_off()

    def nolength(self, attempt):
        """No Content-Length: the end of the connection is the end of the file."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(CONTENT)
        self.close_connection = True

    def endless(self, attempt):
        """No Content-Length and no end."""
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        try:
            while not self.server.stop.is_set():
                self.wfile.write(b"y" * 65536)
        except OSError:
            self.close_connection = True

    def chunked(self, attempt):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for start in range(0, len(CONTENT), 100_000):
            block = CONTENT[start : start + 100_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")

    def wrongbytes(self, attempt):
        self.give(CONTENT[:-1] + b"!")

    def wrongcuts(self, attempt):
        """Wrong bytes, cut once."""
        body, status, headers = self.wanted(CONTENT[:-1] + b"!")
        self.give(body[:1000] if attempt == 1 else body, status, length=len(body), **headers)
        self.break_off()

    def html(self, attempt):
        self.give(b"<html>Please log in</html>", Content_Type="text/html; charset=utf-8")

    def missing(self, attempt):
        self.give(b"", 404)

    def busy(self, attempt):
        if attempt < 3:
            self.give(b"", 503)
        else:
            self.good(attempt)

    def beyond(self, attempt):
        if self.headers.get("Range"):
            self.give(b"", 416)
        else:
            self.good(attempt)

    def redirect(self, attempt):
        self.give(b"", 302, Location="/deep/good.bin")

    def circle(self, attempt):
        self.give(b"", 302, Location="/circle.bin")

    def tofile(self, attempt):
        self.give(b"", 302, Location="file:///etc/passwd")
