"""The only SQL: connections, migrations and one module per group of tables.

May import ``errors``, ``model`` and ``observe``; knows nothing of rooms or the web.
"""

import sys

# sqlite-utils loads numpy where it is installed, for types that we do not store: 0.1 s of a start and ten megabytes.
if "numpy" not in sys.modules:
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        import sqlite_utils as _without_numpy  # noqa: F401
    finally:
        del sys.modules["numpy"]
