"""A second origin: an empty page of somebody else's, and what its scripts try."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ATTEMPTS: dict[str, str] = {
    # What a page can try without a word of the other side. Each is given `url` and answers what
    # it could read: nothing, or the browser's refusal.
    "fetch": "await (await fetch(url('heartbeat'), {method: 'POST'})).text()",
    "fetch with cookies": """await (await fetch(url('heartbeat'),
        {method: 'POST', credentials: 'include'})).text()""",
    "fetch with the header": """await (await fetch(url('heartbeat'), {method: 'POST',
        credentials: 'include', headers: {'x-session-client': '1'}})).text()""",
    "fetch that is not to be read": """await (await fetch(url('logout'), {method: 'POST',
        credentials: 'include', mode: 'no-cors', body: '{}'})).text()""",
    "beacon": "navigator.sendBeacon(url('logout'), '{}') && ''",
    "status": "await (await fetch(url('status'), {credentials: 'include'})).text()",
    "status that is not to be read": """await (await fetch(url('status'),
        {credentials: 'include', mode: 'no-cors'})).text()""",
    "image": """await new Promise((done) => {
        const image = new Image();
        image.onload = () => done(`${image.width}`);
        image.onerror = () => done('');
        image.src = url('status');
    })""",
    "script": """await new Promise((done) => {
        const script = document.createElement('script');
        script.onload = () => done('loaded');
        script.onerror = () => done('');
        script.src = url('status');
        document.head.append(script);
    })""",
    "the client's own script": """await new Promise((done) => {
        const script = document.createElement('script');
        script.type = 'module';
        script.onload = () => done('loaded');
        script.onerror = () => done('');
        script.src = url('client.js');
        document.head.append(script);
    })""",
    "form": """await new Promise((done) => {
        const frame = document.createElement('iframe');
        frame.name = 'target';
        document.body.append(frame);
        const form = document.createElement('form');
        form.method = 'POST';
        form.action = url('logout');
        form.target = 'target';
        document.body.append(form);
        frame.onload = () => {
            try { done(frame.contentDocument.body.textContent); } catch { done(''); }
        };
        form.submit();
    })""",
}

TRY = """async ([base, attempts]) => {
    const url = (name) => `${base}/_session/${name}`;
    const AsyncFunction = (async () => {}).constructor;
    const read = {};
    for (const [name, source] of Object.entries(attempts)) {
        try {
            read[name] = await new AsyncFunction("url", `return ${source}`)(url);
        } catch {
            read[name] = "";
        }
    }
    return read;
}"""


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Elsewhere</title><body>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def elsewhere() -> Iterator[int]:
    """Serve the page on every address of this machine that a test may name; the port."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
