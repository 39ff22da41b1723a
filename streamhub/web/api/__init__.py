"""REST under ``/api/v1``: one blueprint per resource. Imported by ``web.app`` alone."""
