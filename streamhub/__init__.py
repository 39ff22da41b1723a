"""StreamHub: a management layer over a self-hosted LiveKit server, in one Trio process.

What lives where is told by the docstring of each package; who may import whom is checked by
``tests/test_imports.py``.
"""

__version__ = "0.1.0"
