"""The HTML pages: ``/``, ``/play`` and ``/embed``. Imported by ``web.app`` alone."""
