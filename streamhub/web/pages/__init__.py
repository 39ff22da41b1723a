"""The pages people open: help at ``/``, the player at ``/play`` and ``/embed``, and their static files.

They know nothing of rooms or the store: ``PagesDeps`` answers the few questions they have, and everything live
comes to the browser over the viewer socket (``/live/ws``), drawn by the scripts in ``web/static``.
"""

from streamhub.web.pages.deps import PagesDeps
from streamhub.web.pages.routes import blueprint

__all__ = ["PagesDeps", "blueprint"]
