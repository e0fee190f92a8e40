"""`python -m tests.bench [requests | heartbeat | codecs]`: what each of them costs.

Redis is started for it, in a folder of its own, and stopped at the end; `OPENCLAW_TEST_REDIS_URL`
names one to use instead, of which an empty numbered database is taken. Without either the rows on
Redis are left out.
"""

from __future__ import annotations

import argparse
import os
import runpy
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench import bench_heartbeat, bench_requests
from tests.fresh import empty_database
from tests.server_engines import REDIS
from tests.servers import Servers


@contextmanager
def a_redis() -> Iterator[str | None]:
    """The URL of an empty Redis, None where there is none to be had."""
    if not os.environ.get(REDIS.variable) and REDIS.find() is None:
        yield None
        return
    servers = Servers()
    try:
        with empty_database(servers.url(REDIS)) as url:
            yield url
    finally:
        servers.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("only", nargs="?", choices=("requests", "heartbeat", "codecs"))
    only = parser.parse_args().only
    if only != "codecs":
        with a_redis() as url:
            if only != "heartbeat":
                bench_requests.main(url)
            if only != "requests":
                bench_heartbeat.main(url)
    if only in (None, "codecs"):
        runpy.run_module("tests.bench.bench_codecs", run_name="__main__")


if __name__ == "__main__":
    main()
