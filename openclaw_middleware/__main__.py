"""`python -m openclaw_middleware`, and the script `openclaw-middleware`. Nothing else."""

from __future__ import annotations

from .cli import main

if __name__ == "__main__":
    raise SystemExit(main())
